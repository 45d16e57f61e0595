"""What cannot go together in a preset whose single values are all right."""

from __future__ import annotations

from collections.abc import Iterator

from kerasrl_runner.preset.schema import Preset


def conflicts(preset: Preset) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for each combination that cannot work."""
    steps = preset.fit.nb_steps
    agent, memory = preset.agent, preset.memory
    if agent.nb_steps_warmup >= steps:
        yield (
            "agent.nb_steps_warmup",
            f"a warm-up of {agent.nb_steps_warmup} is not below fit.nb_steps = {steps}: nothing "
            f"would be learned. Shorten the warm-up",
        )
    if memory.limit < agent.batch_size:
        yield (
            "memory.limit",
            f"{memory.limit} entries cannot fill a batch of {agent.batch_size} "
            f"(agent.batch_size). Raise the limit",
        )
    if memory.limit < memory.window_length + 2:
        yield (
            "memory.limit",
            f"{memory.limit} entries are too few for windows of {memory.window_length}; expected "
            f"at least {memory.window_length + 2}",
        )
    if memory.limit < agent.nb_steps_warmup:
        yield (
            "memory.limit",
            f"{memory.limit} entries never reach the warm-up of {agent.nb_steps_warmup} "
            f"(agent.nb_steps_warmup). Raise the limit or shorten the warm-up",
        )
    name, policy = preset.policy.chosen
    annealing = policy.annealing_steps
    if annealing > steps:
        yield (
            f"policy.{name}.nb_steps",
            f"annealing over {annealing} steps is longer than fit.nb_steps = {steps}. Shorten it; "
            f"--steps may cut a run short without a change of the preset",
        )
