"""Real machines with real faults: packages that crash or are missing, and old neighbours."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from commands import REPOSITORY, Outcome, child_environment

HANG = "import time; time.sleep(600)"
IMPORT_ERROR = "raise ImportError('broken on purpose')"


def fake_module(folder: Path, name: str, code: str) -> Path:
    """A package that Python finds before the installed one when `folder` is on its path."""
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


def bare_checkout(folder: Path) -> Path:
    """The project as files alone, without the metadata that an installation leaves."""
    for name in ("kerasrl_runner", "presets", "weights", "setup.cfg"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def environment_without(folder: Path, absent: Sequence[str]) -> Path:
    """The Python of a virtual environment that has what this one has, but for `absent`.

    `absent` are beginnings of names in site-packages, which the returned folder then lacks.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(tuple(absent)):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def doctor(
    *options: str,
    folder: Path,
    python: Path | None = None,
    path: Sequence[Path] = (),
    **changes: str,
) -> Outcome:
    """`kerasrl-run doctor` of that Python, with `path` in front of all that is installed."""
    environment = child_environment(**changes)
    if path:
        environment["PYTHONPATH"] = ":".join([*map(str, path), environment["PYTHONPATH"]])
    done = subprocess.run(
        [python or sys.executable, "-m", "kerasrl_runner", "doctor", *options],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def by_name(outcome: Outcome) -> dict[str, dict[str, str]]:
    """The checks of `doctor --json`, which says nothing else and ends without a traceback."""
    assert "Traceback" not in outcome.stderr, outcome.stderr
    checks = outcome.json["checks"]
    broken = [check["name"] for check in checks if check["status"] == "broken"]
    assert outcome.json["ok"] == (not broken)
    assert outcome.code == (1 if broken else 0)
    for check in checks:
        assert check["found"]
        assert check["status"] == "ok" or check["remedy"], check
    return {check["name"]: check for check in checks}
