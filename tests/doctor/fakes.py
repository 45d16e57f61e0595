"""Modules and packages that Python finds before the installed ones, when their folder is first."""

from __future__ import annotations

import time
from pathlib import Path

HANG = "import time; time.sleep(600)"


def fake_module(folder: Path, name: str, code: str) -> Path:
    """A module that runs `code` when it is imported."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code, encoding="utf-8")
    return folder


def fake_package(folder: Path, name: str, version: str, more: str = "") -> Path:
    """The installed metadata of a package that has no module, with `more` lines."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
    (info / "METADATA").write_text(text, encoding="utf-8")
    return folder


def assert_ended(process: int) -> None:
    """It is gone, or dead and not yet reaped by whoever inherited it; a kill takes a moment."""
    deadline = time.monotonic() + 10
    while is_alive(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
