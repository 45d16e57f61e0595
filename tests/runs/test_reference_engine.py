"""`fit --engine reference`: the same presets, the same files, no TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import kerasrl_runner
from kerasrl_runner.engines import build, keras_agents, reference_agent
from kerasrl_runner.errors import PresetError, WeightsError
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.preset import load_preset
from kerasrl_runner.preset.schema import Policy
from kerasrl_runner.weights.configuration import check_same_network
from kerasrl_runner.weights.file import read_weights
from kerasrl_runner.weights.reference_weights import reference_weights, set_reference_weights

SHIPPED = (
    "cartpole", "cartpole-kerasrl", "cartpole-kerasrl-deep", "cartpole-minidqn",
    "cartpole-minidqn-2017", "mountaincar-tutorial",
)  # fmt: skip
ANNEALED = {"attr": "eps", "value_max": 1.0, "value_min": 0.1, "value_test": 0.0, "nb_steps": 10}


@pytest.mark.parametrize("preset", SHIPPED)
def test_every_shipped_preset_trains_and_its_weights_play(tmp_path, preset):
    run_dir = tmp_path / "run"
    result = kerasrl_runner.fit(
        preset, engine="reference", steps=600, run_dir=run_dir, evaluate={"every_steps": 300}
    )
    assert (result.engine, result.env_steps, result.status) == ("reference", 600, "finished")
    assert RunDirectory(run_dir).record().threads == {}
    tested = kerasrl_runner.test(run=result.run, episodes=2)
    assert len(tested.score.episodes) == 2
    attributes = read_weights(run_dir / "weights.h5").attributes
    assert {"preset", "engine", "seed", "env_steps", "versions"} <= set(attributes)


@pytest.mark.parametrize("dueling", [None, "avg", "max", "naive"])
@pytest.mark.parametrize("window", [1, 3])
def test_its_weights_file_says_what_the_compiled_engine_would_say(dueling, window):
    agent = {"enable_dueling_network": dueling is not None, "dueling_type": dueling or "avg"}
    layers = [
        {"Activation": {"activation": "tanh"}},
        {"Dense": {"units": 5, "use_bias": False, "kernel_initializer": "he_normal"}},
        {"Activation": {"activation": "elu", "name": "squash"}},
    ]
    preset = load_preset(
        "cartpole",
        sections={"agent": agent, "memory": {"window_length": window}, "model": {"layers": layers}},
    )
    environment, ours = build(preset, 0, "reference")
    file = reference_weights(preset, environment.example().shape, ours.network)
    _, keras_agent = build(preset, 0, "compiled")
    theirs = keras_agent.exported_weights()
    check_same_network(theirs.config, file.config)
    check_same_network(file.config, theirs.config)
    assert [entry["config"]["name"] for entry in file.config["config"]["layers"]] == [
        entry["config"]["name"] for entry in theirs.config["config"]["layers"]
    ]
    assert [(layer.name, [name for name, _ in layer.weights]) for layer in file.layers] == [
        (layer.name, [name for name, _ in layer.weights]) for layer in theirs.layers
    ]
    keras_agent.set_weights(file)
    states = np.random.default_rng(0).normal(size=(9, window, 4)).astype(np.float32)
    expected = keras_agent.compute_batch_q_values(list(states))
    received = np.stack([ours.q_values(state) for state in states])
    assert np.abs(received - expected).max() <= 1e-6 * np.abs(expected).max()
    other = build(preset, 1, "reference")[1]
    set_reference_weights(preset, environment.example().shape, other.network, theirs)


def test_weights_of_another_network_change_nothing():
    preset = load_preset("cartpole")
    environment, agent = build(preset, 0, "reference")
    other = load_preset("cartpole-kerasrl")
    file = reference_weights(other, (4,), build(other, 0, "reference")[1].network)
    before = agent.network.parameters.copy()
    for config in (file.config, None):
        with pytest.raises(WeightsError, match="another architecture"):
            set_reference_weights(
                preset,
                environment.example().shape,
                agent.network,
                type(file)(file.layers, config, {}),
            )
    assert np.array_equal(agent.network.parameters, before)


def test_a_policy_is_a_row_in_three_files():
    assert set(keras_agents._POLICIES) == set(Policy.model_fields)
    assert set(reference_agent._POLICIES) == set(Policy.model_fields) - {"BoltzmannGumbelQPolicy"}


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"model": {"layers": [{"Conv1D": {"filters": 2, "kernel_size": 1}}]}}, "Conv1D"),
        ({"model": {"layers": [{"Dropout": {"rate": 0.1}}]}}, "Dropout"),
        ({"model": {"layers": [{"mylib:Noisy": {}}]}}, "mylib:Noisy"),
        ({"model": {"layers": [{"Dense": {"units": 3, "activation": "selu"}}]}}, "selu"),
        ({"model": {"layers": [{"Dense": {"units": 3, "kernel_regularizer": "l2"}}]}}, "l2"),
        (
            {"model": {"layers": [{"Dense": {"units": 3, "kernel_initializer": "orthogonal"}}]}},
            "orthogonal",
        ),
        ({"policy": {"BoltzmannGumbelQPolicy": {}}}, "BoltzmannGumbelQPolicy"),
        ({"policy": {"BoltzmannQPolicy": {"clip": [-1.0, 1.0]}}}, "clip"),
        ({"optimizer": {"Nadam": {}}}, "Nadam"),
        ({"optimizer": {"Adam": {"weight_decay": 0.1}}}, "weight_decay"),
        (
            {"optimizer": {"SGD": {"learning_rate": {"CosineDecay": {
                "initial_learning_rate": 0.1, "decay_steps": 5}}}}},
            "CosineDecay",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_it_cannot_do_is_refused_by_name(sections, words):
    preset = load_preset("cartpole", sections=sections)
    with pytest.raises(PresetError, match="--engine compiled") as refused:
        build(preset, 0, "reference")
    assert words in str(refused.value) or words in str(sections)


@pytest.mark.parametrize(
    "layer", [{"Dense": {}}, {"Dense": {"units": 0}}, {"Dense": {"units": 2.5}}], ids=str
)
def test_a_wrong_value_is_refused_as_such(layer):
    preset = load_preset("cartpole", sections={"model": {"layers": [layer]}})
    with pytest.raises(PresetError, match="units"):
        build(preset, 0, "reference")


@pytest.mark.parametrize("priority", [{}, {"priority": {}}])
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_memory_beyond_this_machine_is_refused(engine, priority):
    preset = load_preset("cartpole", sections={"memory": {"limit": 10**13, **priority}})
    with pytest.raises(PresetError, match="bytes"):
        build(preset, 0, engine)


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        ("agent", {"gradient_steps": 2}, "agent.gradient_steps"),
        ("agent", {"n_steps": 3}, "agent.n_steps"),
        ("memory", {"priority": {}}, "memory.priority"),
        ("env", {"action_mask": True}, "env.action_mask"),
    ],
)
def test_what_keras_rl_does_not_have_is_refused_with_engines_that_do(section, values, key):
    preset = load_preset("cartpole", sections={section: values})
    with pytest.raises(PresetError, match=rf"^{key}: engine keras-rl .* --engine compiled"):
        build(preset, 0, "keras-rl")


def test_both_engines_may_begin_with_the_same_weights_and_then_draw_the_same_batches(tmp_path):
    """Greedy from the first step on, episodes seeded alike: the first episodes are the same."""
    build("cartpole", 7)[1].save_weights(tmp_path / "given.h5")
    rows = []
    for engine in ("reference", "compiled"):
        kerasrl_runner.fit(
            "cartpole",
            engine=engine,
            steps=300,
            seed=7,
            run_dir=tmp_path / engine,
            initial_weights=tmp_path / "given.h5",
            policy={"GreedyQPolicy": {}},
            agent={"nb_steps_warmup": 250},
            evaluate={"every_steps": 0},
        )
        log = (tmp_path / engine / "log.csv").read_text().splitlines()[1:]
        rows.append([row.split(",")[:5] for row in log])
    before_learning = [row for row in rows[0] if int(row[1]) < 250]
    assert len(before_learning) > 5
    assert rows[1][: len(before_learning)] == before_learning
