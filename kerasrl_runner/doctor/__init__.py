"""What is wrong with this machine's stack, and how to repair it.

A machine with a broken stack is the normal case here: nothing of the stack is imported in this
process. Versions are read from installed metadata, and what may crash or hang runs in a child
process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kerasrl_runner.doctor import probes, versions
from kerasrl_runner.doctor.findings import Finding, broken


def examine(
    announce: Callable[[str], None] = lambda name: None, *, limit_seconds: float = 120
) -> Iterator[tuple[str, Finding]]:
    """Yield each check's name and finding once it is done; the last trains for about two seconds.

    Args:
        announce: called with the name of the check that begins.
        limit_seconds: how long any one child process may take.
    """
    try:
        requirements = versions.read_requirements()
    except Exception:  # the first check says why
        requirements = {}
    checks: list[tuple[str, Callable[[], Finding]]] = [
        (versions.PROJECT, versions.check_installation),
        ("Python", versions.check_python),
        *(
            (name, partial(versions.check_package, required))
            for name, required in requirements.items()
        ),
        ("runs folder", probes.check_runs_folder),
        ("display", partial(probes.check_display, limit_seconds)),
        ("video encoder", partial(probes.check_encoder, limit_seconds)),
        ("training", partial(probes.check_training, requirements, limit_seconds)),
    ]
    for name, check in checks:
        announce(name)
        yield name, _run_check(check)


def _run_check(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # such as damaged metadata of a package
        return broken(
            f"cannot be checked: {type(error).__name__}: {error}",
            "Repair what this names; a new virtual environment is often the shortest way.",
        )
