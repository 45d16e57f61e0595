"""What cannot go together in a preset whose single values are all right."""

from __future__ import annotations

from collections.abc import Iterator

from kerasrl_runner.preset.schema import Preset


def conflicts(preset: Preset) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for each combination that cannot work."""
    steps = preset.fit.nb_steps
    agent, memory = preset.agent, preset.memory
    if preset.model is None:
        yield from _list_unused(preset)
    elif agent.learning_rate is not None:
        key = f"optimizer.{preset.optimizer.chosen[0]}.learning_rate"
        yield "agent.learning_rate", f"it is a table's, and a network's is {key}. Set that"
    if preset.model is not None and agent.nb_steps_warmup >= steps:
        yield (
            "agent.nb_steps_warmup",
            f"a warm-up of {agent.nb_steps_warmup} is not below fit.nb_steps = {steps}: nothing "
            f"would be learned. Shorten the warm-up",
        )
    if agent.enable_double_dqn and not agent.target_network:
        yield (
            "agent.enable_double_dqn",
            "with target_network = false one network both chooses and values, and this changes "
            "nothing. Leave out one of them",
        )
    needs = {
        "agent.nb_steps_warmup": agent.nb_steps_warmup,
        "agent.batch_size": agent.batch_size,
        "memory.window_length + 2": memory.window_length + 2,
    }
    for name, entries in needs.items():
        if memory.limit < entries:
            yield (
                "memory.limit",
                f"a memory of {memory.limit} entries never holds the {entries} that learning "
                f"waits for ({name}). Raise the limit, or lower that",
            )
    _, policy = preset.policy.chosen
    acting = getattr(policy, "inner_policy", preset.policy)
    if preset.env.action_mask and acting.BoltzmannGumbelQPolicy is not None:
        yield (
            "policy",
            "BoltzmannGumbelQPolicy counts its actions by their place, and env.action_mask hands a "
            "policy the legal ones alone. Use BoltzmannQPolicy or EpsGreedyQPolicy",
        )
    annealed = preset.policy.LinearAnnealedPolicy
    if annealed is not None and annealed.nb_steps > steps:
        yield (
            "policy.LinearAnnealedPolicy.nb_steps",
            f"annealing over {annealed.nb_steps} steps is longer than fit.nb_steps = {steps}. "
            f"Shorten it; --steps may cut a run short without a change of the preset",
        )


def _list_unused(preset: Preset) -> Iterator[tuple[str, str]]:
    """The settings that a table does not have, where they are not their defaults."""
    unused = {"optimizer": (preset.optimizer, Preset.model_fields["optimizer"].default)}
    for name, section in (("memory", preset.memory), ("agent", preset.agent)):
        for key, field in type(section).model_fields.items():
            if key not in ("gamma", "learning_rate"):
                unused[f"{name}.{key}"] = (getattr(section, key), field.default)
    for key, (value, default) in unused.items():
        if value != default:
            yield (
                key,
                "a preset without [model] is for a table, where this changes nothing. Leave it "
                "out, or give the preset a [model]",
            )
