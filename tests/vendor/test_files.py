"""Saving and loading weights (D10, D11, D11b)."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import AfterEachStep, equal_weights, make_agent, q_network, weights_of
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.vendor import keras


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


def test_D10_a_file_is_overwritten_on_demand(tmp_path: Path) -> None:
    make_agent(seed=1).save_weights(tmp_path / "w.h5")
    agent, other = make_agent(seed=2), make_agent(seed=3)
    agent.save_weights(str(tmp_path / "w.h5"), overwrite=True)
    other.load_weights(str(tmp_path / "w.h5"))
    assert equal_weights(weights_of(agent), weights_of(other))


def test_D10_a_missing_folder_is_made(tmp_path: Path) -> None:
    make_agent().save_weights(tmp_path / "new" / "deep" / "w.h5")
    assert (tmp_path / "new" / "deep" / "w.h5").is_file()


@pytest.mark.parametrize("name", ["w", "w.keras", "w.weights.h5"])
def test_D10_D11_other_suffixes_are_refused_for_saving(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"\.h5"):
        make_agent().save_weights(tmp_path / name)
    assert not list(tmp_path.iterdir())


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


def test_D11_the_newer_format_is_refused_for_loading(tmp_path: Path) -> None:
    keras.Sequential()
    q_network().save_weights(str(tmp_path / "x.weights.h5"))
    with pytest.raises(WeightsError, match=r"\.weights\.h5"):
        make_agent().load_weights(tmp_path / "x.weights.h5")


def test_D11_loading_changes_the_online_and_the_target_network(tmp_path: Path) -> None:
    agent, other = make_agent(seed=1), make_agent(seed=2)
    agent.save_weights(tmp_path / "w.h5")
    targets: list[Any] = []
    look = AfterEachStep(lambda a: targets.append(a.target_model.get_weights()))
    other.load_weights(tmp_path / "w.h5")
    assert equal_weights(weights_of(agent), weights_of(other))
    other.fit(gymnasium.make("gyms:Constant-v0"), 1, callbacks=[look], verbose=0)
    assert equal_weights(weights_of(agent), targets[0])


def test_D11b_the_vendor_loads_weights_of_another_activation_silently(tmp_path: Path) -> None:
    with graph_mode():
        saved, agent = (vendor_agent(_hidden(activation=name)) for name in ("tanh", "relu"))
        saved.save_weights(str(tmp_path / "w.h5"))
        agent.load_weights(str(tmp_path / "w.h5"))
        assert equal_weights(agent.model.get_weights(), saved.model.get_weights())


@pytest.mark.parametrize(
    "other",
    [
        lambda: _hidden(units=4),
        lambda: _hidden(activation="tanh"),
        lambda: q_network(hidden=[keras.layers.Dense(3), keras.layers.Dense(3)]),
        lambda: q_network(actions=3, hidden=[keras.layers.Dense(3, activation="relu")]),
        lambda: q_network((2,), hidden=[keras.layers.Dense(3, activation="relu")]),
    ],
    ids=["units", "activation", "layers", "actions", "input"],
)
def test_D11b_weights_of_another_architecture_change_nothing(other: Any, tmp_path: Path) -> None:
    make_agent(other()).save_weights(tmp_path / "w.h5")
    agent = make_agent(_hidden())
    before = weights_of(agent)
    with pytest.raises(WeightsError, match="another architecture"):
        agent.load_weights(tmp_path / "w.h5")
    assert equal_weights(before, weights_of(agent))


def test_D11b_a_file_that_says_no_architecture_is_compared_by_its_shapes(tmp_path: Path) -> None:
    keras.Sequential()
    fits, differs = _hidden(), _hidden(units=4)
    fits.save_weights(str(tmp_path / "fits.h5"))
    differs.save_weights(str(tmp_path / "differs.h5"))
    expected = fits.get_weights()
    agent = make_agent(_hidden())
    before = weights_of(agent)
    with pytest.raises(WeightsError, match=r"\(1, 3\).*\(1, 4\)"):
        agent.load_weights(tmp_path / "differs.h5")
    assert equal_weights(before, weights_of(agent))
    agent.load_weights(tmp_path / "fits.h5")
    assert equal_weights(weights_of(agent), expected)


@pytest.mark.parametrize(
    "layer",
    [
        {"Bidirectional": {"layer": {"SimpleRNN": {"units": 2}}}},
        {"TimeDistributed": {"layer": {"Dense": {"units": 2}}}},
    ],
    ids=["Bidirectional", "TimeDistributed"],
)
def test_D11b_a_networks_own_weights_fit_its_like_whatever_its_layers_are_called(
    layer: dict[str, Any], tmp_path: Path
) -> None:
    from kerasrl_runner.parts.model import build_q_network

    def agent() -> Any:
        keras.Sequential()
        model = build_q_network(list(layer.items()), (3, 4), 2)
        return make_agent(model, window=3)

    first, second = agent(), agent()
    first.save_weights(tmp_path / "w.h5")
    second.load_weights(tmp_path / "w.h5")
    state = list(np.ones((3, 4), np.float32))
    np.testing.assert_array_equal(first.compute_q_values(state), second.compute_q_values(state))
