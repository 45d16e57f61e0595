"""Values that are right alone and cannot go together."""

from __future__ import annotations

import pytest

from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset import load_preset

ANNEALING = """\
[policy.LinearAnnealedPolicy]
inner_policy = { EpsGreedyQPolicy = {} }
attr = "eps"
value_max = 1.0
value_min = 0.1
value_test = 0.0
nb_steps = 2_001
"""

CONFLICTS = {
    "a warm-up as long as the run": (
        "[agent]\nnb_steps_warmup = 2_000\n",
        "line 10: agent.nb_steps_warmup: a warm-up of 2000 is not below fit.nb_steps = 2000",
    ),
    "a memory smaller than a batch": (
        "[agent]\nnb_steps_warmup = 10\n[memory]\nlimit = 31\n",
        "line 12: memory.limit: a memory of 31 entries never holds the 32 that learning waits for "
        "(agent.batch_size)",
    ),
    "a memory smaller than its windows": (
        "[agent]\nnb_steps_warmup = 1\nbatch_size = 1\n[memory]\nlimit = 5\nwindow_length = 4\n",
        "line 13: memory.limit: a memory of 5 entries never holds the 6 that learning waits for "
        "(memory.window_length + 2)",
    ),
    "a memory that never holds the warm-up": (
        "[memory]\nlimit = 999\n",
        "line 10: memory.limit: a memory of 999 entries never holds the 1000 that learning "
        "waits for (agent.nb_steps_warmup)",
    ),
    "Double DQN of one network": (
        "[agent]\nenable_double_dqn = true\ntarget_network = false\n",
        "line 10: agent.enable_double_dqn: with target_network = false one network both chooses",
    ),
    "annealing longer than the run": (
        ANNEALING,
        "line 15: policy.LinearAnnealedPolicy.nb_steps: annealing over 2001 steps is longer than "
        "fit.nb_steps = 2000",
    ),
}


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_is_refused(write_preset, conflict):
    text, message = CONFLICTS[conflict]
    path = write_preset(f"[fit]\nnb_steps = 2_000\n\n{text}")
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert f"{path}, {message}" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "[agent]\nnb_steps_warmup = 1_999\n",
        "[agent]\nnb_steps_warmup = 32\n[memory]\nlimit = 32\n",
        "[agent]\nnb_steps_warmup = 1\nbatch_size = 1\n[memory]\nlimit = 6\nwindow_length = 4\n",
        ANNEALING.replace("2_001", "2_000"),
    ],
)
def test_the_last_value_that_fits_is_taken(write_preset, text):
    load_preset(write_preset(f"[fit]\nnb_steps = 2_000\n{text}"))


def test_every_conflict_is_named_at_once(write_preset):
    path = write_preset("[fit]\nnb_steps = 500\n[memory]\nlimit = 20\n")
    with pytest.raises(PresetError) as error:
        load_preset(path)
    keys = [line.split(": ")[1] for line in str(error.value).splitlines()]
    assert keys == ["agent.nb_steps_warmup", "memory.limit", "memory.limit"]


def test_annealing_inside_annealing_is_refused(write_preset):
    text = ANNEALING.replace("EpsGreedyQPolicy", "LinearAnnealedPolicy")
    with pytest.raises(PresetError, match=r"inner_policy\.LinearAnnealedPolicy: unknown key"):
        load_preset(write_preset(text))


@pytest.mark.parametrize("policy", ["policy", "policy.LinearAnnealedPolicy.inner_policy"])
def test_counts_of_actions_by_their_place_and_masks_of_actions_are_refused(policy):
    gumbel = f"{policy}={{BoltzmannGumbelQPolicy={{C=1.0}}}}"
    annealed = ["policy.LinearAnnealedPolicy.attr=C"] * (policy != "policy")
    load_preset("cartpole", [gumbel, *annealed])
    with pytest.raises(PresetError, match="policy: BoltzmannGumbelQPolicy counts its actions"):
        load_preset("cartpole", [gumbel, *annealed, "env.action_mask=true"])
