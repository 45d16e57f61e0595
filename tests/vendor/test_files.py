"""Saving and loading weights (D10, D11, D11b)."""

from __future__ import annotations

import io
import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from agents.support import AfterEachStep, constant, equal_weights, make_agent, q_network, weights_of
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.keras_rl import DQNAgent, VendorDQNAgent
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.vendor import keras, rl_dqn
from kerasrl_runner.weights.configuration import check_same_network
from kerasrl_runner.weights.file import WeightsFile
from kerasrl_runner.weights.keras_weights import config_of, layers_of, set_layers


def _hidden(units: int = 3, activation: str = "relu") -> Any:
    return q_network(hidden=[keras.layers.Dense(units, activation=activation)])


def test_D10_the_vendor_asks_before_it_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with graph_mode():
        agent = vendor_agent()
        agent.save_weights(str(tmp_path / "w.h5"))
        with pytest.raises(EOFError):
            agent.save_weights(str(tmp_path / "w.h5"))


@pytest.mark.parametrize("name", ["w.h5f", "w"])
def test_D10_a_file_in_the_way_is_kept_and_the_weights_go_beside_it_without_a_question(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    first, second = make_agent(seed=1), make_agent(seed=2)
    beside = name.replace("w", "w-2")
    first.save_weights(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.warns(UserWarning, match=f"{name} exists.*are in .*{beside}.*overwrite=True"):
        second.save_weights(tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    first.load_weights(tmp_path / beside)
    assert equal_weights(weights_of(first), weights_of(second))


@pytest.mark.parametrize("name", ["w.h5f", "w.hd5", "w.hdf5", "w.keras", "dqn_CartPole-v1.2", "w"])
def test_D10_any_other_name_is_written_and_read_as_h5(name: str, tmp_path: Path) -> None:
    agent, other = make_agent(seed=1), make_agent(seed=2)
    agent.save_weights(str(tmp_path / name))
    other.load_weights(str(tmp_path / name))
    assert equal_weights(weights_of(agent), weights_of(other))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with h5py.File(tmp_path / name) as file:
        assert "model_weights" in file


@pytest.mark.parametrize("error", [FileNotFoundError, OSError, WeightsError])
def test_a_missing_file_is_what_a_script_catches(error: Any, tmp_path: Path) -> None:
    with pytest.raises(error, match="there is no weights file"):
        make_agent().load_weights(tmp_path / "none.h5f")


def _vendors_files(folder: Path, model: Any, **arguments: Any) -> Any:
    """Writes all that the vendor writes of some weights; returns Q values of the state [0.7]."""
    with graph_mode(), warnings.catch_warnings(action="ignore"):
        agent = rl_dqn.DQNAgent(model(), nb_actions=2, memory=None, **arguments)
        generator = np.random.default_rng(0)
        weights = [generator.uniform(0.1, 1.0, w.shape) for w in agent.model.get_weights()]
        agent.model.set_weights(weights)
        agent.save_weights(str(folder / "checkpoint.h5f"))
        agent.save_weights(str(folder / "weights.h5"))
        agent.model.save(str(folder / "model.h5"))
        return agent.compute_q_values([np.array([0.7])])


def _ending_in_activation() -> Any:
    model = _hidden(5)
    model.add(keras.layers.Activation("linear"))
    return model


def _unlike_others() -> Any:
    layers = keras.layers
    inside = [layers.BatchNormalization(), layers.Dropout(0.5), layers.Lambda(lambda x: 2 * x)]
    return q_network(hidden=[layers.Dense(3), *inside])


@pytest.mark.parametrize(
    ("agent_class", "model", "dueling_type"),
    [
        *itertools.product([DQNAgent], [_hidden, _ending_in_activation], ["avg", "max", "naive"]),
        *itertools.product([DQNAgent, VendorDQNAgent], [_unlike_others], [None]),
        (VendorDQNAgent, _ending_in_activation, "max"),
    ],
)
def test_D10_D13b_what_the_vendor_wrote_is_read(
    agent_class: Any, model: Any, dueling_type: str | None, tmp_path: Path
) -> None:
    arguments: Any = {}
    if dueling_type:
        arguments = {"enable_dueling_network": True, "dueling_type": dueling_type}
    expected = _vendors_files(tmp_path, model, **arguments)
    assert (tmp_path / "checkpoint.h5f.index").exists()
    for name in ("checkpoint.h5f", "weights.h5", "model.h5"):
        agent = make_agent(model(), agent_class=agent_class, **arguments)
        agent.load_weights(str(tmp_path / name))
        q_values = agent.compute_q_values([np.array([0.7])])
        np.testing.assert_allclose(q_values, expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("damaged", [False, True])
def test_D11b_a_checkpoint_of_another_network_changes_nothing(
    damaged: bool, tmp_path: Path
) -> None:
    _vendors_files(tmp_path, lambda: _hidden(3 if damaged else 4))
    if damaged:
        (tmp_path / "checkpoint.h5f.index").write_bytes(b"damaged")
    agent = make_agent(_hidden(3))
    before = weights_of(agent)
    with pytest.raises(WeightsError, match=r"h5f\.index is no TensorFlow checkpoint of this"):
        agent.load_weights(tmp_path / "checkpoint.h5f")
    assert equal_weights(before, weights_of(agent))


def test_D11_the_vendor_loads_the_newer_format_and_changes_nothing(tmp_path: Path) -> None:
    keras.Sequential()
    model = q_network()
    model.save_weights(str(tmp_path / "x.weights.h5"))
    with graph_mode():
        agent = vendor_agent(q_network())
        before = agent.model.get_weights()
        agent.load_weights(str(tmp_path / "x.weights.h5"))
        assert equal_weights(agent.model.get_weights(), before)
    assert not equal_weights(before, model.get_weights())


def test_D11_the_newer_format_is_refused_for_loading_and_saving(tmp_path: Path) -> None:
    keras.Sequential()
    q_network().save_weights(str(tmp_path / "x.weights.h5"))
    agent = make_agent()
    with pytest.raises(WeightsError, match=r"\.weights\.h5"):
        agent.load_weights(tmp_path / "x.weights.h5")
    with pytest.raises(WeightsError, match=r"\.h5"):
        agent.save_weights(tmp_path / "new.weights.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["x.weights.h5"]


def test_D10_D11_a_saved_file_is_loaded_into_the_online_and_the_target_network(
    tmp_path: Path,
) -> None:
    agent, other = make_agent(seed=1), make_agent(seed=2)
    path = tmp_path / "new" / "deep" / "w.h5"
    other.save_weights(path)  # which makes the folders
    agent.save_weights(str(path), overwrite=True)
    targets: list[Any] = []
    look = AfterEachStep(lambda a: targets.append(a.target_model.get_weights()))
    other.load_weights(str(path))
    assert equal_weights(weights_of(agent), weights_of(other))
    state = [np.array([0.3])]
    np.testing.assert_array_equal(agent.compute_q_values(state), other.compute_q_values(state))
    other.fit(constant(), 1, callbacks=[look], verbose=0)
    assert equal_weights(weights_of(agent), targets[0])


def test_D11b_the_vendor_loads_weights_of_another_activation_silently(tmp_path: Path) -> None:
    with graph_mode():
        saved, agent = (vendor_agent(_hidden(activation=name)) for name in ("tanh", "relu"))
        saved.save_weights(str(tmp_path / "w.h5"))
        agent.load_weights(str(tmp_path / "w.h5"))
        assert equal_weights(agent.model.get_weights(), saved.model.get_weights())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"units": 4}, "another architecture.*units = 4 where 3 was expected"),
        ({"activation": "tanh"}, "another architecture.*'tanh' where 'relu' was expected"),
    ],
)
def test_D11b_weights_of_another_architecture_change_nothing(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    make_agent(_hidden(**changed)).save_weights(tmp_path / "w.h5")
    agent = make_agent(_hidden())
    before = weights_of(agent)
    with pytest.raises(WeightsError, match=words):
        agent.load_weights(tmp_path / "w.h5")
    assert equal_weights(before, weights_of(agent))


@pytest.mark.parametrize(
    "layer",
    [
        {"Bidirectional": {"layer": {"SimpleRNN": {"units": 2}}}},
        {"TimeDistributed": {"layer": {"Dense": {"units": 2}}}},
    ],
    ids=["Bidirectional", "TimeDistributed"],
)
def test_D11b_a_networks_own_weights_fit_its_like_whatever_its_layers_are_called(
    layer: dict[str, Any],
) -> None:
    keras.Sequential()
    model, other = (build_q_network(list(layer.items()), (3, 4), 2) for _ in range(2))
    check_same_network(config_of(model), config_of(other))
    set_layers(other, WeightsFile(layers_of(model), None, {}))
    assert equal_weights(model.get_weights(), other.get_weights())
