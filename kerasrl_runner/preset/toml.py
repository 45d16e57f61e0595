"""TOML from strangers: what tomllib would take for ever over, and what cannot be written again."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import PresetError, shortened
from kerasrl_runner.files.plain import MOST_LEVELS, check_plain

MOST_CHARACTERS = 1 << 18

# tomllib's time grows with the square of a key's parts. Parts longer than these are few in a file.
_PART = r"""(?:[A-Za-z0-9_-]{1,200}+|"(?:[^"\\\n]|\\.){0,200}+"|'[^'\n]{0,200}+')"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_LEVELS}}}")


def read_toml(path: Path) -> str:
    """The text of a preset file. Raises PresetError where it is none, or of no sensible length."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"cannot read {path}: {error}. Expected a TOML file in UTF-8.") from error
    return text


def parse_toml(text: str, source: object) -> dict[str, Any]:
    """Raises PresetError for what is not TOML, or no preset whatever it says."""
    if len(text) > MOST_CHARACTERS:
        raise PresetError(f"{source}: expected a preset of at most {MOST_CHARACTERS} characters.")
    try:
        if _LONG_KEY.search(text):
            raise ValueError(f"a key has more than {MOST_LEVELS} parts")
        data = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise PresetError(f"{source}: this is not TOML: {shortened(error)}.") from error
    except RecursionError as error:
        raise PresetError(f"{source}: the tables are nested too deeply to read.") from error
    try:
        check_plain(data)
    except ValueError as error:
        raise PresetError(f"{source}: {error}.") from error
    return data
