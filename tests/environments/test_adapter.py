"""A Gymnasium environment as keras-rl's loop sees it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from vendor.support import OldGym

from kerasrl_runner.environments.adapter import KerasRLEnvironment, as_keras_rl
from kerasrl_runner.environments.observations import build_encoder
from kerasrl_runner.environments.seeds import EVALUATION, TEST, TRAINING, episode_seeds
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.vendor import rl_core

LARGEST = np.finfo(np.float32).max
FLOAT64_MAX = np.finfo(np.float64).max


def _adapted(name: str, made_with: dict[str, Any] | None = None, **arguments: Any) -> Any:
    env = gymnasium.make(f"gyms:{name}-v0", **(made_with or {}))
    return KerasRLEnvironment(env, **arguments)


def _episode(environment: KerasRLEnvironment) -> list[bool]:
    """Play one episode; whether each step was its last."""
    environment.reset()
    ends = []
    while not ends or not ends[-1]:
        ends.append(environment.step(0)[2])
    return ends


@pytest.mark.parametrize(
    ("terminates", "truncates", "cap", "terminated", "length"),
    [
        (3, None, None, True, 3),
        (None, 3, None, False, 3),
        (None, None, 3, False, 3),
        (3, 3, 3, True, 3),
        (5, 4, 3, False, 3),
        (3, 4, 5, True, 3),
    ],
)
def test_an_episode_is_terminated_or_truncated_and_never_both(
    terminates: int | None, truncates: int | None, cap: int | None, terminated: bool, length: int
) -> None:
    environment = _adapted(
        "Trail", {"terminates": terminates, "truncates": truncates}, nb_max_episode_steps=cap
    )
    assert _episode(environment) == [False] * (length - 1) + [True]
    assert environment.terminated is terminated
    assert environment.truncated is not terminated
    environment.reset()
    assert not environment.terminated
    assert not environment.truncated


def test_the_return_is_the_environments_own_and_the_step_pays_the_scaled_reward() -> None:
    environment = _adapted("Rewards", {"rewards": (1.0, 2.5, -4.0)}, reward_scale=0.5)
    environment.reset()
    assert [environment.step(0)[1] for _ in range(3)] == [0.5, 1.25, -2.0]
    assert environment.episode_return == -0.5
    environment.reset()
    assert environment.episode_return == 0.0


@pytest.mark.parametrize(
    ("end", "last"),
    [
        ({"terminates": 3}, -10.0),
        ({"truncates": 3}, 51.0),
        ({"terminates": 3, "truncates": 3}, -10.0),
    ],
)
def test_the_agent_learns_from_clipped_rewards_a_terminal_one_in_its_place_and_then_scaled(
    end: dict[str, int], last: float
) -> None:
    environment = _adapted(
        "Trail", end, reward_clip=(101.5, 102.0), terminal_reward=-20.0, reward_scale=0.5
    )
    environment.reset()
    assert [environment.step(0)[1] for _ in range(3)] == [50.75, 51.0, last]
    assert environment.episode_return == 101.0 + 102.0 + 103.0  # the environment's own


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_rewards_are_numbers_that_the_loop_adds_up_in_float64(shape: tuple[int, ...]) -> None:
    environment = _adapted("Rewards", {"rewards": (1, 2), "shape": shape})
    environment.reset()
    total = np.float32(0) + environment.step(0)[1]  # as rl/core.py does
    assert total.dtype == np.float64
    assert total == 1.0


def test_the_loop_is_handed_no_info_and_the_real_one_is_kept() -> None:
    environment = _adapted("Informing")
    environment.reset()
    assert environment.step(0)[3] == {}
    assert environment.info["text"] == "words"


def test_the_mask_of_the_newest_info_says_which_actions_are_legal() -> None:
    environment = _adapted("Masked", {"last": [False] * 4}, action_mask=True)
    assert environment.legal_actions is None
    environment.reset()
    seen = [environment.legal_actions]
    for action in (3, 1, 2, 0):
        environment.step(action)
        seen.append(environment.legal_actions)
    assert np.array(seen).tolist() == [
        [True, False, False, True],
        [False, True, True, False],
        [False, False, True, False],
        [True, True, False, True],
        [True, True, True, True],  # an episode's last observation allows nothing
    ]


def test_without_action_mask_the_info_is_left_alone() -> None:
    environment = _adapted("Masked", {"masks": ["nothing"]})
    environment.reset()
    assert environment.legal_actions is None


@pytest.mark.parametrize(
    "mask",
    [None, [1, 1, 1], [1, 1, 1, 1, 1], [[1, 1, 1, 1]], [1, 0, 0, 2], [1, 0, 0, -1], [1, 0, 0, 0.5],
     [1, 0, 0, np.nan], ["1", "0", "0", "1"], [1, 0, [0], 1], [None] * 4, 1],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("steps", [0, 1])
def test_an_info_without_a_mask_of_zeros_and_ones_is_a_failing_environment(
    mask: Any, steps: int
) -> None:
    environment = _adapted("Masked", {"masks": [[1] * 4] * steps + [mask]}, action_mask=True)
    calls = [environment.reset, lambda: environment.step(0)]
    for call in calls[:steps]:
        call()
    expected = (
        r"\(action_mask\).* a 0 or 1 for each of 4 actions from `reset` and every `step`, rec"
    )
    with pytest.raises(EnvironmentFailed, match=expected):
        calls[steps]()


def test_steps_and_episodes_are_counted() -> None:
    environment = _adapted("Trail", {"terminates": 2})
    assert environment.episode == -1
    _episode(environment)
    assert (environment.episode, environment.episode_length, environment.env_steps) == (0, 2, 2)
    _episode(environment)
    assert (environment.episode, environment.episode_length, environment.env_steps) == (1, 2, 4)


def test_an_episode_of_the_same_number_and_seed_starts_the_same() -> None:
    first, second = (_adapted("Started", seeds=episode_seeds(7, TRAINING)) for _ in range(2))
    starts = [float(first.reset()[0]) for _ in range(4)]
    second.reset()
    second.step(0)  # what happens inside an episode does not matter to the next
    assert [float(second.reset()[0]) for _ in range(3)] == starts[1:]
    assert len(set(starts)) == 4


def test_the_seed_of_the_present_episode_is_known() -> None:
    environment = _adapted("Started", seeds=episode_seeds(7, TEST))
    environment.reset()
    environment.reset()
    assert environment.episode_seed == episode_seeds(7, TEST)(1)
    assert _adapted("Started").episode_seed is None


FAULTS: list[tuple[BaseException | dict[str, Any], str]] = [
    (ZeroDivisionError("the simulator broke"), "ZeroDivisionError: the simulator broke"),
    (SystemExit(0), "SystemExit: 0"),
    ({"reward": np.nan}, "the reward is nan"),
    ({"reward": -np.inf}, "the reward is -inf"),
    ({"reward": "a lot"}, "could not convert string to float"),
    ({"reward": None}, "NoneType"),
    ({"reward": np.ones(2)}, "array of size 1"),
    ({"observation": np.full(1, np.nan, np.float32)}, r"it holds NaN or infinity at \[\[0\]\]"),
    ({"observation": np.full(1, np.inf, np.float32)}, r"it holds NaN or infinity at \[\[0\]\]"),
    ({"observation": np.ones(3)}, r"expected shape \(1,\) as the space says, received \(3,\)"),
    ({"observation": None}, r"expected shape \(1,\) as the space says, received \(\)"),
    ({"observation": np.array(["1.0"])}, "expected float32 as the space says, received <U3"),
    ({"observation": np.array([None])}, "expected float32 as the space says, received object"),
    ({"terminated": "False"}, "terminated: expected True or False, received 'False'"),
    ({"terminated": None}, "terminated: expected True or False, received None"),
    ({"terminated": np.ones(2, bool)}, "terminated: expected True or False, received array"),
    ({"terminated": 2}, "terminated: expected True or False, received 2"),
    ({"truncated": "False"}, "truncated: expected True or False, received 'False'"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_failing_environment_is_named_with_its_step_and_episode(fault: Any, message: str) -> None:
    made = gymnasium.make("gyms:Faulty-v0", fault=fault, at=7, terminates=5)
    encode = build_encoder(made.observation_space, 1.0)
    environment = KerasRLEnvironment(made, encode=encode)
    _episode(environment)
    environment.reset()
    environment.step(0)
    with pytest.raises(EnvironmentFailed, match=message) as failed:
        environment.step(0)
    assert "Faulty-v0" in str(failed.value)
    assert "at env step 7, step 2 of episode 1" in str(failed.value)


@pytest.mark.parametrize("observation", [-1, 2, 7, 0.5, None, "1"])
def test_an_observation_outside_its_discrete_space_is_a_failing_environment(
    observation: Any,
) -> None:
    made = gymnasium.make("gyms:Saying-v0", observation=observation)
    encode = build_encoder(made.observation_space, 1.0)
    message = r"Saying-v0 failed \(observation\).*expected a member of Discrete\(2\), received "
    with pytest.raises(EnvironmentFailed, match=f"{message}{observation!r}"):
        KerasRLEnvironment(made, encode=encode).reset()


@pytest.mark.parametrize("yes", [True, 1, np.True_, np.int8(1), np.array(True), np.array([1])])
def test_an_end_may_be_any_kind_of_true(yes: Any) -> None:
    environment = _adapted("Faulty", {"fault": {"terminated": yes}})
    environment.reset()
    assert environment.step(0)[2] is True
    assert environment.terminated is True


@pytest.mark.parametrize(
    ("space", "example"),
    [
        (spaces.Box(-LARGEST, LARGEST, (27,), np.float32), np.zeros(27, np.float32)),
        (spaces.Box(-FLOAT64_MAX, FLOAT64_MAX, (2,), np.float64), np.zeros(2, np.float64)),
        (spaces.Box(5, 9, (2, 2), np.uint8), np.zeros((2, 2), np.uint8)),
        (spaces.MultiBinary(2), np.zeros(2, np.int8)),
        (spaces.Discrete(3, start=-4), np.array([1, 0, 0], np.float32)),
        (spaces.MultiDiscrete([2, 2], start=[3, 4]), np.array([1, 0, 1, 0], np.float32)),
    ],
    ids=str,
)
def test_the_example_is_never_a_random_observation(space: Any, example: np.ndarray) -> None:
    env = gymnasium.make("gyms:Constant-v0").unwrapped
    env.observation_space = space
    encode = build_encoder(space, 1.0)
    built = KerasRLEnvironment(env, encode=encode).example()
    assert built.dtype == example.dtype
    np.testing.assert_array_equal(built, example)


def test_watchers_are_called_after_every_reset_and_step() -> None:
    environment = _adapted("Trail", {"terminates": 2})
    seen: list[tuple[int, int, bool]] = []
    environment.watchers.append(
        lambda: seen.append(
            (environment.episode, environment.episode_length, environment.terminated)
        )
    )
    _episode(environment)
    environment.reset()
    assert seen == [(0, 0, False), (0, 1, False), (0, 2, True), (1, 0, False)]


def test_ctrl_c_is_no_failure_of_the_environment() -> None:
    environment = _adapted("Faulty", {"fault": KeyboardInterrupt()})
    environment.reset()
    with pytest.raises(KeyboardInterrupt):
        environment.step(0)


def test_actions_are_counted_from_where_the_space_starts() -> None:
    environment = _adapted("FromThree")
    environment.reset()
    assert [float(environment.step(action)[0][0]) for action in (0, 1)] == [3.0, 4.0]


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        (OldGym(), "returns `observation, info`.*kerasrl-run script OLD.py"),
        (rl_core.Env(), "returns `observation, info`.*kerasrl-run script OLD.py"),
        ("CartPole-v1", r"builtins.str. gymnasium.make\(ID\) makes one"),
    ],
)
def test_what_is_no_gymnasium_environment_is_refused(environment: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=rf"expected a gymnasium\.Env, received .*{remedy}"):
        as_keras_rl(environment)


class OldReset(gymnasium.Env):
    """Without spaces; reset and step are those of old gym."""

    def reset(self) -> Any:
        return np.ones(2)

    def step(self, action: int) -> Any:
        return np.ones(2), 1.0, False, {}


class OldStep(OldReset):
    """Only step is."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.ones(2), {}


@pytest.mark.parametrize("env", [OldReset(), TimeLimit(OldReset(), 5)])
def test_a_reset_of_the_old_api_is_told_the_new_one(env: gymnasium.Env) -> None:
    with pytest.raises(EnvironmentFailed, match=r"reset.*returns `observation, info`") as failed:
        as_keras_rl(env).reset()
    assert "kerasrl-run script" in str(failed.value)


@pytest.mark.parametrize("env", [OldStep(), TimeLimit(OldStep(), 5)])
def test_a_step_of_the_old_api_is_told_the_new_one(env: gymnasium.Env) -> None:
    environment = as_keras_rl(env)
    environment.reset()
    with pytest.raises(EnvironmentFailed, match=r"step.*`observation, reward, terminated"):
        environment.step(0)


def test_an_environment_needs_no_spaces() -> None:
    class Bare(OldStep):
        def step(self, action: int) -> Any:
            return np.ones(2), float(action), False, False, None

    environment = as_keras_rl(Bare())
    environment.reset()
    assert environment.step(1)[1] == 1.0
    assert environment.info is None


def test_an_adapted_environment_is_not_adapted_again() -> None:
    environment = _adapted("Constant")
    assert as_keras_rl(environment) is environment


def test_seeds_of_different_streams_never_meet() -> None:
    streams = {
        stream: {
            episode_seeds(seed, stream)(episode) for seed in range(20) for episode in range(200)
        }
        for stream in (TRAINING, EVALUATION, TEST)
    }
    assert not streams[TRAINING] & streams[EVALUATION]
    assert not streams[TRAINING] & streams[TEST]
    assert not streams[EVALUATION] & streams[TEST]
    everything = set().union(*streams.values())
    assert min(everything) >= 0
    assert max(everything) < 2**31
    assert len(streams[TRAINING]) == 4_000  # 20 seeds of 200 episodes, no two alike


def test_the_seed_of_an_episode_is_the_same_in_every_version() -> None:
    expected = int(np.random.SeedSequence([3, 5]).generate_state(1)[0]) >> 3 << 2
    assert [episode_seeds(3, s)(5) for s in (TRAINING, EVALUATION, TEST)] == [
        expected, expected + 1, expected + 2,
    ]  # fmt: skip
