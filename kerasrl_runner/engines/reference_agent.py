"""From a preset to the reference agent: what it can't do is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasrl_runner.engines.learner import build_priorities
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import PresetError
from kerasrl_runner.parts.ram import check_memory_fits
from kerasrl_runner.preset.schema import Boltzmann as BoltzmannSettings
from kerasrl_runner.preset.schema import InnerPolicy, Layer, Optimizer, Preset
from kerasrl_runner.reference import optimizers
from kerasrl_runner.reference.agent import GREEDY, Agent, Boltzmann, EpsilonGreedy
from kerasrl_runner.reference.agent import Policy as ReferencePolicy
from kerasrl_runner.reference.network import Activation, Dense, Network
from kerasrl_runner.reference.replay import ReplayMemory
from kerasrl_runner.reference.schedule import (
    Schedule,
    constant,
    exponential_decay,
    linear,
    polynomial_decay,
)

_OPTIMIZERS: dict[str, type[optimizers.Optimizer]] = {
    "Adam": optimizers.Adam,
    "RMSprop": optimizers.RMSprop,
    "SGD": optimizers.SGD,
}
_SCHEDULES: dict[str, tuple[Callable[..., Schedule], dict[str, str]]] = {
    "PolynomialDecay": (
        polynomial_decay,
        {"initial_learning_rate": "initial", "end_learning_rate": "end"},
    ),
    "ExponentialDecay": (exponential_decay, {"initial_learning_rate": "initial"}),
}


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int) -> Agent:
    """The preset's reference agent. Sampling draws as the other engines' memory does.

    Raises:
        PresetError: a layer, policy, optimizer or argument that it does not have.
    """
    settings = preset.agent
    example = environment.example()
    # Without a target network it is the online one: it moves all the way at each learn step.
    rate = settings.target_model_update if settings.target_network else 1.0
    hard = settings.target_network and rate >= 1
    # The same stream as the other engines' memory: equal memories draw equal batches.
    replay, weights, actions = (
        np.random.default_rng(entropy) for entropy in (seed, [seed, 1], [seed, 2])
    )
    action_count = int(environment.action_space.n)
    masks = action_count if environment.action_mask else None
    # action, reward, age, terminated, closing, legal
    entry_bytes = example.nbytes + 26 + (masks or 0)
    check_memory_fits(preset.memory.limit, entry_bytes)
    try:
        return Agent(
            Network(
                preset.memory.window_length * example.size,
                hidden_layers(preset.layers),
                action_count,
                weights,
                dueling=settings.dueling_type if settings.enable_dueling_network else None,
                head_bias=preset.model is not None,
            ),
            _build_optimizer(preset.optimizer),
            ReplayMemory(
                preset.memory.limit,
                example.shape,
                replay,
                preset.memory.window_length,
                example.dtype,
                build_priorities(preset),
                masks,
            ),
            build_policy(preset.policy, {}),
            actions,
            gamma=settings.gamma,
            batch_size=settings.batch_size,
            warmup=settings.nb_steps_warmup,
            train_interval=settings.train_interval,
            gradient_steps=settings.gradient_steps,
            n_steps=settings.n_steps,
            target_interval=int(rate) if hard else None,
            target_rate=None if hard else rate,
            double=settings.enable_double_dqn,
            huber_clip=settings.delta_clip,
        )
    except ValueError as error:
        raise _refusal("this preset", str(error)) from error


def hidden_layers(layers: tuple[Layer, ...]) -> list[Dense | Activation]:
    """The reference network's layers; Flatten is none, its input is flat already.

    Raises:
        PresetError: a layer or an argument that the reference network does not have.
    """
    hidden: list[Dense | Activation] = []
    for number, layer in enumerate(layers):
        key = f"model.layers.{number} ({layer.name})"
        arguments = {k: v for k, v in layer.arguments.items() if k != "name"}
        if layer.name == "Flatten" and not arguments:
            continue
        kind: Any = {"Dense": Dense, "Activation": Activation}.get(layer.name)
        if kind is None:
            raise _refusal(key, "it has Flatten, Dense and Activation")
        _check_known(key, arguments, kind)
        if type(arguments.get("units", 1)) is not int:
            raise PresetError(
                f"{key}: units: expected a whole number, received {arguments['units']!r}."
            )
        try:
            hidden.append(kind(**arguments))
        except TypeError as error:
            raise PresetError(f"{key}: {error}") from error
    return hidden


def build_policy(policy: InnerPolicy, annealed: dict[str, Schedule]) -> ReferencePolicy:
    """`annealed`: schedules of the policy's arguments that an outer policy anneals."""
    name, settings = policy.chosen
    if name not in _POLICIES:
        raise _policy_refusal(f"policy: {name}", f"they have {', '.join(_POLICIES)}")
    constants = {key: constant(value) for key, value in settings if isinstance(value, float)}
    return _POLICIES[name](settings, constants | annealed)


def _build_boltzmann(settings: Any, schedules: dict[str, Schedule]) -> ReferencePolicy:
    if settings.clip != BoltzmannSettings().clip:
        raise _policy_refusal("policy: clip", "they clip nothing, and nothing overflows")
    return Boltzmann(schedules["tau"], schedules.get("eps", constant(1.0)))


def _build_annealed(settings: Any, schedules: dict[str, Schedule]) -> ReferencePolicy:
    if settings.value_max < settings.value_min:
        key = "policy.LinearAnnealedPolicy"
        raise _policy_refusal(key, "they anneal from value_max down to value_min")
    schedule = linear(settings.value_max, settings.value_min, settings.nb_steps)
    return build_policy(settings.inner_policy, {settings.attr: schedule})


def _build_decaying(settings: Any, schedules: dict[str, Schedule]) -> ReferencePolicy:
    decay = exponential_decay(settings.value_max, 1, settings.factor)
    schedule = {settings.attr: lambda count: max(settings.value_min, decay(count))}
    policy: Any = build_policy(settings.inner_policy, schedule)
    decaying: ReferencePolicy = dataclasses.replace(policy, per=settings.per)
    return decaying


# Each builds a policy of its settings and of its arguments' schedules.
_POLICIES: dict[str, Callable[[Any, dict[str, Schedule]], ReferencePolicy]] = {
    "EpsGreedyQPolicy": lambda settings, schedules: EpsilonGreedy(schedules["eps"]),
    "GreedyQPolicy": lambda settings, schedules: GREEDY,
    "BoltzmannQPolicy": _build_boltzmann,
    "MaxBoltzmannQPolicy": _build_boltzmann,
    "LinearAnnealedPolicy": _build_annealed,
    "ExponentialAnnealedPolicy": _build_decaying,
}


def _build_optimizer(optimizer: Optimizer) -> optimizers.Optimizer:
    name, settings = optimizer.chosen
    key = f"optimizer.{name}"
    if name not in _OPTIMIZERS:
        raise _refusal(key, f"it has {', '.join(_OPTIMIZERS)}")
    arguments = {k: v for k, v in settings.items() if k != "name"}
    _check_known(key, arguments, _OPTIMIZERS[name])
    rate = arguments.get("learning_rate")
    if isinstance(rate, dict):
        arguments["learning_rate"] = _build_schedule(f"{key}.learning_rate", rate)
    return _OPTIMIZERS[name](**arguments)


def _build_schedule(key: str, rate: dict[str, Any]) -> Schedule:
    name, settings = next(iter(rate.items()))
    if name not in _SCHEDULES:
        raise _refusal(f"{key}.{name}", f"it has {', '.join(_SCHEDULES)}")
    function, renamed = _SCHEDULES[name]
    arguments = {renamed.get(k, k): v for k, v in settings.items() if k != "name"}
    try:
        schedule: Schedule = function(**arguments)
        schedule(0)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise PresetError(f"{key}.{name}: {error}.") from error
    return schedule


def _check_known(key: str, arguments: dict[str, Any], kind: Any) -> None:
    """Raises PresetError for an argument that is no field of the dataclass `kind`."""
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    for name in arguments:
        if name not in known:
            raise _refusal(f"{key}: {name}", f"it has {', '.join(known)}")


def _policy_refusal(key: str, what: str) -> PresetError:
    """A table has no other engine: what it can do is take another policy."""
    return PresetError(
        f"{key}: the engines reference and qtable do not have this; {what}. Change the policy, or "
        f"train a network by --engine compiled."
    )


def _refusal(key: str, what: str) -> PresetError:
    return PresetError(
        f"{key}: the reference engine does not have this; {what}. Use --engine compiled."
    )
