"""keras-rl's policies where the vendor's are wrong (docs/defects.md); the others are its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasrl_runner.vendor import rl_policy


def boltzmann_probabilities(q_values: np.ndarray, tau: float, clip: tuple[float, float]) -> Any:
    """Softmax of q / tau, [A] -> [A] float64, with the maximum subtracted before clipping.

    rl/policy.py:224 clips first, which makes far-apart values equal (D24: q = (60, 90) at
    tau = 0.1 gives the worse action 0.5).
    """
    logits = q_values.astype(np.float64) / tau  # [A]
    exponents = np.exp(np.clip(logits - logits.max(), *clip))  # [A]
    return exponents / exponents.sum()  # [A]


class BoltzmannQPolicy(rl_policy.BoltzmannQPolicy):
    """rl.policy.BoltzmannQPolicy with D24 fixed."""

    def select_action(self, q_values: np.ndarray) -> int:
        """Draw an action from the softmax of `q_values` [A]."""
        probabilities = boltzmann_probabilities(q_values, self.tau, self.clip)
        return int(np.random.choice(len(q_values), p=probabilities))


class MaxBoltzmannQPolicy(rl_policy.MaxBoltzmannQPolicy):
    """rl.policy.MaxBoltzmannQPolicy with D24 fixed."""

    def select_action(self, q_values: np.ndarray) -> int:
        """Greedy in `q_values` [A], or with probability eps drawn from their softmax."""
        if np.random.uniform() < self.eps:
            probabilities = boltzmann_probabilities(q_values, self.tau, self.clip)
            return int(np.random.choice(len(q_values), p=probabilities))
        return int(np.argmax(q_values))


class LinearAnnealedPolicy(rl_policy.LinearAnnealedPolicy):
    """rl.policy.LinearAnnealedPolicy whose inner policy knows the agent as well.

    The vendor's leaves it out, so that BoltzmannGumbelQPolicy fails inside.
    """

    @property
    def agent(self) -> Any:
        """The agent that acts by this policy, which assigns itself."""
        return self._agent

    @agent.setter
    def agent(self, agent: Any) -> None:
        self._agent = self.inner_policy.agent = agent


class ExponentialAnnealedPolicy(LinearAnnealedPolicy):
    """Anneals to max(value_min, value_max * factor ** count), where `per` says what is counted.

    Args:
        per: "env_step", "learn_call" or "episode": the agent's, of all its fits.
    """

    def __init__(
        self,
        inner_policy: Any,
        attr: str,
        value_max: float,
        value_min: float,
        value_test: float,
        factor: float,
        per: str = "env_step",
    ) -> None:
        super().__init__(inner_policy, attr, value_max, value_min, value_test, nb_steps=1)
        self.factor, self.per = factor, per

    def get_current_value(self) -> float:
        """The value at the agent's present count; `value_test` outside of training."""
        if not self.agent.training:
            return self.value_test
        return max(self.value_min, self.value_max * self.factor ** self.agent.count_of(self.per))


def exploration(policy: Any) -> float | None:
    """The policy's present epsilon, or None where it has none."""
    return getattr(getattr(policy, "inner_policy", policy), "eps", None)
