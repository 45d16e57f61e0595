"""Keras' optimizers on one flat parameter vector."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from kerasrl_runner.reference.network import Array, Network

LearningRate = float | Callable[[int], float]


@functools.cache
def float32(value: float) -> float:
    """`value` as tf_keras casts a number of an optimizer's: by way of float32, even to float64."""
    return float(np.float32(value))


@dataclass
class Optimizer:
    """What tf_keras' optimizers share. `slots` (named arrays [P]) and `learn_step` are its state.

    learning_rate: a number, or a function of the learn step, which is 0 at the first update.
    clipnorm limits each weight's gradient norm, global_clipnorm that of all, clipvalue each entry;
    ValueError for more than one of them.
    """

    learning_rate: LearningRate = 0.001
    _: KW_ONLY
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    learn_step: int = field(default=0, init=False)
    slots: dict[str, Array] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if (self.clipnorm, self.clipvalue, self.global_clipnorm).count(None) < 2:
            raise ValueError("expected at most one of clipnorm, clipvalue, global_clipnorm")

    def update(self, network: Network) -> None:
        """Change `network.parameters` [P] in place by its `gradient` [P]: one learn step."""
        if limit := self.clipnorm or self.global_clipnorm:
            for part in network.weight_gradients if self.clipnorm else [network.gradient]:
                part *= limit / max(math.sqrt((part * part).sum()), limit)  # [I, O], [O] or [P]
        elif self.clipvalue:
            np.clip(network.gradient, -self.clipvalue, self.clipvalue, out=network.gradient)  # [P]
        rate = self.learning_rate
        rate = float(rate(self.learn_step) if callable(rate) else rate)
        self.learn_step += 1
        self._apply(network.parameters, network.gradient, rate)

    def _slot(self, name: str, like: Array) -> Array:
        if name not in self.slots:
            self.slots[name] = np.zeros_like(like)  # [P]
        return self.slots[name]

    def _apply(self, parameters: Array, gradient: Array, rate: float) -> None:
        raise NotImplementedError


@dataclass
class Adam(Optimizer):
    """Kingma 2015, algorithm 1, in the order of section 2's last paragraph, as tf_keras' Adam."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False

    def _apply(self, parameters: Array, gradient: Array, rate: float) -> None:
        power_1 = float32(self.beta_1) ** self.learn_step
        power_2 = float32(self.beta_2) ** self.learn_step
        alpha = rate * math.sqrt(1 - power_2) / (1 - power_1)
        m, v = self._slot("m", parameters), self._slot("v", parameters)  # [P], [P]
        m += (gradient - m) * (1 - self.beta_1)  # [P]
        v += (gradient * gradient - v) * (1 - self.beta_2)  # [P]
        if self.amsgrad:
            v_max = self._slot("v_max", parameters)  # [P]
            v = np.maximum(v_max, v, out=v_max)  # [P]
        parameters -= m * alpha / (np.sqrt(v) + self.epsilon)  # [P]


@dataclass
class RMSprop(Optimizer):
    """tf_keras' RMSprop: divides by sqrt(v + epsilon), where older Keras had sqrt(v) + epsilon."""

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def _apply(self, parameters: Array, gradient: Array, rate: float) -> None:
        v, m = self._slot("v", parameters), self._slot("m", parameters)  # [P], [P]
        v[...] = self.rho * v + (1 - self.rho) * gradient * gradient  # [P]
        denominator = v + self.epsilon  # [P]
        if self.centered:
            mean = self._slot("mean", parameters)  # [P]
            mean[...] = self.rho * mean + (1 - self.rho) * gradient  # [P]
            denominator -= mean * mean  # [P]
        m[...] = self.momentum * m + rate * gradient / np.sqrt(denominator)  # [P]
        parameters -= m  # [P]


@dataclass
class SGD(Optimizer):
    """tf_keras' SGD, with momentum and Nesterov's variant of it."""

    learning_rate: LearningRate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def _apply(self, parameters: Array, gradient: Array, rate: float) -> None:
        m, momentum = self._slot("m", parameters), float32(self.momentum)  # [P], []
        m[...] = momentum * m - rate * gradient  # [P]
        parameters += momentum * m - rate * gradient if self.nesterov else m  # [P]
