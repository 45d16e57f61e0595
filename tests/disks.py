"""Disks that fill up."""

from __future__ import annotations

import contextlib
from pathlib import Path


def fill_disk(disk: Path, free: int = 0) -> Path:
    """Leave `free` KiB free; returns the file that takes the space."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - 1024 * free)
    return path
