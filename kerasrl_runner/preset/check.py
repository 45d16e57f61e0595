"""What cannot go together in a preset whose single values are all right."""

from __future__ import annotations

from collections.abc import Iterator

from kerasrl_runner.preset.schema import Preset

_NOT_OF_A_TABLE = (
    "a preset without [model] is for a table, where this changes nothing: of [agent] it has gamma "
    "and learning_rate, no [memory] and no [optimizer]. Leave it out, or give the preset a [model]"
)


def conflicts(preset: Preset) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for each combination that cannot work."""
    steps = preset.fit.nb_steps
    yield from _network_conflicts(preset) if preset.model else _table_conflicts(preset)
    annealed = preset.policy.LinearAnnealedPolicy
    if annealed is not None and annealed.nb_steps > steps:
        yield (
            "policy.LinearAnnealedPolicy.nb_steps",
            f"annealing over {annealed.nb_steps} steps is longer than fit.nb_steps = {steps}. "
            f"Shorten it; --steps may cut a run short without a change of the preset",
        )


def _table_conflicts(preset: Preset) -> Iterator[tuple[str, str]]:
    sections = (preset.memory, preset.agent)
    for name, section in zip(("memory", "agent"), sections, strict=True):
        for key, value in section:
            is_used = key in ("gamma", "learning_rate")
            if not is_used and value != type(section).model_fields[key].default:
                yield f"{name}.{key}", _NOT_OF_A_TABLE
    if preset.optimizer != Preset.model_fields["optimizer"].default:
        yield "optimizer", _NOT_OF_A_TABLE


def _network_conflicts(preset: Preset) -> Iterator[tuple[str, str]]:
    steps, agent, memory = preset.fit.nb_steps, preset.agent, preset.memory
    if agent.learning_rate is not None:
        name = preset.optimizer.chosen[0]
        yield (
            "agent.learning_rate",
            f"this is a table's, and a network learns at optimizer.{name}.learning_rate. Set that",
        )
    if agent.nb_steps_warmup >= steps:
        yield (
            "agent.nb_steps_warmup",
            f"a warm-up of {agent.nb_steps_warmup} is not below fit.nb_steps = {steps}: nothing "
            f"would be learned. Shorten the warm-up",
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
