"""The machine and the variables of its shell."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from kerasrl_runner.doctor.findings import Finding, broken, ok, warning
from kerasrl_runner.doctor.tried import Tried
from kerasrl_runner.files.places import runs_folder

_TRIED_MACHINE = ("CPython", "Linux", "x86_64")
_GIGABYTE = 10**9
# A cartpole training was seen to take 0.75 GB, nearly all of it TensorFlow.
_LITTLE_MEMORY = _GIGABYTE  # bytes
_LITTLE_ROOM = _GIGABYTE  # bytes


def python(tried: Tried) -> Finding:
    """Python and the machine it runs on."""
    machine = (platform.python_implementation(), platform.system(), platform.machine())
    version = platform.python_version()
    found = f"{machine[0]} {version} on {machine[1]} {machine[2]}"
    untried = []
    if tried.pythons and ".".join(version.split(".")[:2]) not in tried.pythons:
        untried.append(f"Python {', '.join(tried.pythons)}")
    if machine != _TRIED_MACHINE:
        untried.append("{} on {} {}".format(*_TRIED_MACHINE))
    if untried:
        return warning(
            f"{found} (tried: {', '.join(untried)})",
            "It may well work: the check of the training below says. Where it does not, use what "
            "was tried.",
        )
    return ok(found)


def legacy_keras() -> Finding:
    """The switch that TensorFlow chooses its Keras by; kerasrl_runner.vendor sets it itself."""
    value = os.environ.get("TF_USE_LEGACY_KERAS")
    if value is None:
        return ok("not set; kerasrl-run sets it to 1 for itself")
    if value in ("1", "true", "True"):  # all that TensorFlow takes for yes
        return ok(value)
    return warning(
        f'"{value}", which gives a script that imports TensorFlow first Keras 3, where keras-rl '
        f"fails; kerasrl-run sets it to 1 for itself",
        "unset TF_USE_LEGACY_KERAS, or export TF_USE_LEGACY_KERAS=1",
    )


def threads() -> Finding:
    """KERASRL_THREADS, by the rule of set_threads in build/."""
    text, cores = os.environ.get("KERASRL_THREADS") or "", os.cpu_count() or 1
    if not text:
        return ok("not set: TensorFlow uses one thread")
    if not (text.isdecimal() and int(text) <= 256):
        return broken(
            f'expected a number of threads up to 256, received "{text}"',
            "unset KERASRL_THREADS, or export KERASRL_THREADS=1",
        )
    if int(text) > cores:
        return warning(
            f"{text} threads on {cores} cores only wait for each other",
            "unset KERASRL_THREADS: one thread was the fastest where it was measured",
        )
    return ok(text)


def runs() -> Finding:
    """Whether the runs folder can be written to and has room. Nothing is left there."""
    folder = runs_folder().absolute()
    remedy = "Choose another folder by KERASRL_RUNS or --run-dir."
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return broken(f"{folder}: {existing} is no folder", remedy)
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".kerasrl-doctor-") as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return broken(f"{folder}: cannot write to {existing}: {error.strerror}", remedy)
    room = os.statvfs(existing)
    free = room.f_bavail * room.f_frsize  # bytes
    found = f"{folder} can be written to, {free / _GIGABYTE:.1f} GB are free"
    if free < _LITTLE_ROOM:
        return warning(found, f"Make room: runs with videos or large memories need it. {remedy}")
    return ok(found)


def memory() -> Finding:
    """What a training could take: the machine's memory, or its container's where that is less."""
    free = _available_memory()
    if free is None:
        return ok("not known on this system")
    found = f"{free / _GIGABYTE:.1f} GB available"
    if free < _LITTLE_MEMORY:
        return warning(
            found, "A training takes about 0.8 GB: close other programs or raise the limit."
        )
    return ok(found)


def _available_memory() -> int | None:
    """Bytes; None where the system does not say."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except OSError:
        pass
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (group / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current")
        )
        found.append(int(limit) - int(used))
    except (OSError, ValueError):  # no such group, or its limit is "max"
        pass
    return min(found, default=None)
