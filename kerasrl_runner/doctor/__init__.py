"""What is wrong with this machine's stack, and how to mend it.

A sick machine is the normal case here: nothing of the stack is imported in this process. Versions
are read from installed metadata, and what may crash or hang runs in a child process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kerasrl_runner.doctor import machine, packages, probes
from kerasrl_runner.doctor.findings import Check, Finding, broken
from kerasrl_runner.doctor.tried import what_was_tried


def examine(
    starting: Callable[[str], None] = lambda name: None, *, limit_seconds: float = 120
) -> Iterator[Check]:
    """Yield every check as soon as it is done; the last one trains for about two seconds.

    Args:
        starting: called with the name of the check that begins.
        limit_seconds: how long any one child process may take.
    """
    tried = what_was_tried()
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("kerasrl-runner", partial(packages.installation, tried)),
        ("Python", partial(machine.python, tried)),
        *(
            (title, partial(packages.package, tried, name))
            for name, title in packages.TITLES.items()
        ),
        ("keras-rl2", partial(packages.keras_rl2, tried)),
        ("dependencies", partial(packages.dependencies, tried)),
        ("extras", partial(packages.extras, tried)),
        ("old Gym", packages.old_gym),
        ("TF_USE_LEGACY_KERAS", machine.legacy_keras),
        ("KERASRL_THREADS", machine.threads),
        ("runs folder", machine.runs),
        ("memory", machine.memory),
        ("display", partial(probes.display, limit_seconds)),
        ("video encoder", partial(probes.encoder, limit_seconds)),
        ("training", partial(probes.training, tried, limit_seconds)),
    ]
    for name, check in checks:
        starting(name)
        yield Check(name, *_safely(check))


def _safely(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # a machine can be sick in ways that nobody listed
        return broken(
            f"cannot be checked: {type(error).__name__}: {error}",
            "Mend what this names; a new virtual environment is often the shortest way.",
        )
