"""What run.json and a weights file say of where a result comes from."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

_PACKAGES = (
    "kerasrl-runner",
    "keras-rl2",
    "tensorflow",
    "tf-keras",
    "gymnasium",
    "numpy",
    "h5py",
)


def versions() -> dict[str, str]:
    """Python's and the packages' versions."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # A source folder can be run without installing it.
            found[package] = "not installed"
    return found


def hardware() -> dict[str, Any]:
    """The machine's processor, system and number of cores."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
    }


def command() -> str:
    """The command line of this process, without its path."""
    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
