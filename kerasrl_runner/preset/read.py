"""Preset files: TOML, `extends`, `--set`, and messages that name file, line and key."""

from __future__ import annotations

import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from kerasrl_runner.errors import PresetError, shorten, suggest_name
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.preset.check import conflicts
from kerasrl_runner.preset.names import REFUSED_KEYS
from kerasrl_runner.preset.schema import Preset

# Tables that hold exactly one table, whose name is a class: another class replaces the whole.
_ONE_TABLE = ("policy", "inner_policy", "optimizer", "learning_rate")

# pydantic speaks of Python's types, a preset's author of TOML's.
_TOML_WORDS = {
    r"^Input should be ": "expected ",
    r"a valid dictionary( or instance of \w+)?": "a table",
    r"a valid tuple": "a list",
    r"a valid ": "a ",
    r"\ba integer": "an integer",
}


def known_presets() -> dict[str, Path]:
    """The shipped presets' names and files, in order of their names."""
    files = shipped_folder("presets").glob("*.toml")
    return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}


def load_preset(
    preset: str | Path | Preset,
    overrides: Sequence[str] = (),
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> Preset:
    """Read a shipped preset by name, or a preset file.

    Args:
        preset: a name such as "cartpole", or a path that ends in ".toml"; a Preset is returned
            as it is.
        overrides: "section.key=value" strings, the value spelled as in TOML (a bare word is a
            string), each typed by the same check as the file.
        sections: tables laid over the file's, such as {"agent": {"gamma": 0.95}}.

    Raises:
        PresetError: no such preset; broken TOML; unknown key, wrong type, impossible value or
            combination. All problems are named, with file, line where known, and key.
        TypeError: sections for a Preset.
    """
    if isinstance(preset, Preset):
        if sections:
            raise TypeError("overrides go with a preset's name or file; build the Preset with them")
        return preset
    path = _find_file(str(preset))
    data = _merge_tables(_read_with_base(path, ()), sections or {})
    changed: dict[str, str] = {}
    for override in overrides:
        key, tables = _parse_override(override)
        data = _merge_tables(data, tables)
        changed[key] = override
    data.setdefault("name", path.stem)
    checked = _check_preset(data, path, _read_text(path), changed)
    checked._folder = path.resolve().parent
    return checked


def preset_from_toml(text: str, source: str = "preset") -> Preset:
    """Read a resolved preset's text. Raises PresetError as `load_preset` does."""
    path = Path(source)
    data = _parse_toml(text, path)
    data.setdefault("name", path.stem)
    return _check_preset(data, path, text, {})


def preset_to_toml(preset: Preset) -> str:
    """The whole preset with every default spelled out; reads back equal."""
    return tomli_w.dumps(preset.model_dump(exclude_none=True))


def _find_file(preset: str) -> Path:
    if preset.endswith(".toml") or "/" in preset:
        path = Path(os.path.expanduser(preset))
        # os.path.isfile returns False where Path.is_file raises, as for a name that is too long.
        if path.suffix != ".toml" or not os.path.isfile(path):
            raise PresetError(
                f"there is no preset file {shorten(path)}. Give an existing .toml file."
            )
        return path
    known = known_presets()
    if preset not in known:
        raise PresetError(
            f'there is no preset called "{shorten(preset)}".{suggest_name(preset, list(known))} '
            f"Known: {', '.join(known)}. A file of your own is given with its .toml."
        )
    return known[preset]


def _read_text(path: Path) -> str:
    try:
        # Windows' Notepad begins a file with a byte order mark, which "utf-8-sig" skips.
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"cannot read {path}: {error}. Expected a TOML file in UTF-8.") from error


def _parse_toml(text: str, source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer with too many digits for Python
        raise PresetError(f"{source}: this is not TOML: {shorten(error)}.") from error
    except RecursionError as error:
        raise PresetError(f"{source}: the tables are nested too deeply to read.") from error


def _read_with_base(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """The file's tables, laid over those of the preset that it extends."""
    if path.resolve() in (file.resolve() for file in extended_by):
        chain = " -> ".join(str(file) for file in (*extended_by, path))
        raise PresetError(f"presets extend each other in a circle: {chain}. Break it in one file.")
    data = _parse_toml(_read_text(path), path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise PresetError(
            f"{path}: extends: expected a preset's name or file, received {shorten(base)}."
        )
    beside = path.parent / base
    base_path = beside if base.endswith(".toml") and os.path.isfile(beside) else _find_file(base)
    return _merge_tables(_read_with_base(base_path, (*extended_by, path)), data)


def _merge_tables(base: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `above` laid over it, table by table."""
    merged = dict(base)
    for key, value in above.items():
        old = merged.get(key)
        if not (isinstance(old, dict) and isinstance(value, Mapping)):
            merged[key] = value
        elif key in _ONE_TABLE and set(old).isdisjoint(value):
            merged[key] = value
        else:
            merged[key] = _merge_tables(old, value)
    return merged


def _parse_override(override: str) -> tuple[str, dict[str, Any]]:
    """("agent.gamma", {"agent": {"gamma": 0.95}}) for "agent.gamma=0.95"."""
    key, equals, text = override.partition("=")
    keys = [part.strip() for part in key.split(".")]
    if not equals or not all(keys):
        raise PresetError(
            f"--set {shorten(override, 80)}: expected KEY=VALUE with dots between the parts of "
            f"the key, such as agent.gamma=0.95."
        )
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # not TOML, so it is a string without its quotes
        table = {}
    # A text with a line break may read as several keys; it is a string as well.
    nested: Any = table["value"] if set(table) == {"value"} else text.strip()
    for key in reversed(keys):
        nested = {key: nested}
    return ".".join(keys), nested


def _check_preset(
    data: dict[str, Any], path: Path, text: str, changed: Mapping[str, str]
) -> Preset:
    """The validated preset. Raises PresetError with a line for every problem.

    Args:
        data: the merged tables.
        path: the preset's file, for messages.
        text: what the file says, to find lines in.
        changed: the `--set` strings by their keys.
    """
    try:
        preset = Preset.model_validate(data)
        problems = list(conflicts(preset))
    except ValidationError as error:
        problems = [_explain_error(entry) for entry in error.errors(include_url=False)]
    if not problems:
        return preset
    lines = []
    for key, message in problems:
        source = _find_source(key, path, text, changed)
        lines.append(f"{source}: {shorten(key, 80)}: {shorten(message, 1_000)}.")
    raise PresetError("\n".join(lines))


def _find_source(key: str, path: Path, text: str, changed: Mapping[str, str]) -> str:
    """The `--set` that gave the key its value, or the file with the line."""
    for override_key, override in changed.items():
        if f"{key}.".startswith(f"{override_key}.") or f"{override_key}.".startswith(f"{key}."):
            return f"--set {shorten(override, 80)}"
    line = _find_line(key, text)
    return f"{path}, line {line}" if line else str(path)


def _find_line(key: str, text: str) -> int | None:
    """The 1-based line where `key` ("agent.gamma") or the nearest table above it is written.

    None where no part of the key is in the text (a default, or an extended file's). tomllib does
    not keep lines.
    """
    longest, line_of_longest = 0, None
    table = ""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip().replace('"', "").replace(" ", "")
        if line.startswith("["):
            table = written = line.lstrip("[").partition("]")[0]
        elif "=" in line:
            written = f"{table}.{line.partition('=')[0]}".lstrip(".")
        else:
            continue
        if f"{key}.".startswith(f"{written}.") and len(written) > longest:
            longest, line_of_longest = len(written), number
    return line_of_longest


def _explain_error(error: Mapping[str, Any]) -> tuple[str, str]:
    """A pydantic error as (key, what was expected and received)."""
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        key = ".".join(path)
        if key in REFUSED_KEYS:
            return key, f"not in a preset: {REFUSED_KEYS[key]}"
        known = _list_known_keys(path[:-1])
        return key, f"unknown key.{suggest_name(path[-1], known)} Known here: {', '.join(known)}"
    # pydantic adds the branch of a union, such as "int", which is no key of the file.
    branches = ("int", "float", "constrained-int")
    key = ".".join(part for part in path if part not in branches and "[" not in part)
    if error["type"] == "missing":
        return key, "missing; a preset needs it"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return key or "preset", message.rstrip(".")
    for pydantics, tomls in _TOML_WORDS.items():
        message = re.sub(pydantics, tomls, message)
    return key, f"{message}, received {shorten(repr(error['input']), 80)}"


def _list_known_keys(section: Sequence[str]) -> list[str]:
    """The keys that a preset may have in this section; in the whole preset for []."""
    model: type[BaseModel] = Preset
    for part in section:
        field = model.model_fields.get(part)
        if field is None:
            break
        options = [field.annotation, *typing.get_args(field.annotation)]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return [*model.model_fields, *(["extends"] if model is Preset else [])]
