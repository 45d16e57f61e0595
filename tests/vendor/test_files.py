"""Saving and loading weights (D10, D11, D11b)."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agents.support import AfterEachStep, constant, equal_weights, make_agent, q_network, weights_of
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.vendor import keras
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


def test_D10_a_file_in_the_way_is_refused_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    agent = make_agent()
    agent.save_weights(tmp_path / "w.h5")
    before = (tmp_path / "w.h5").read_bytes()
    with pytest.raises(WeightsError, match="overwrite=True"):
        agent.save_weights(tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == before


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
