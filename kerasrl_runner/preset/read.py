"""Preset files: TOML, `extends`, `--set`, and messages that name file, line and key."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from kerasrl_runner.errors import PresetError, nearest
from kerasrl_runner.files.shipped import shipped_folder
from kerasrl_runner.preset.check import conflicts
from kerasrl_runner.preset.lines import line_of
from kerasrl_runner.preset.names import REFUSED_KEYS
from kerasrl_runner.preset.schema import Preset

# Tables that hold exactly one table, whose name is a class: another class replaces the whole.
_ONE_TABLE = ("policy", "inner_policy", "optimizer", "learning_rate")

# Deeper tables than anybody writes; beyond, reading and writing them would exhaust the stack.
_MOST_KEYS = 20

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
    preset: str | Path,
    overrides: Sequence[str] = (),
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> Preset:
    """Read a shipped preset by name, or a preset file.

    Args:
        preset: a name such as "cartpole", or a path that ends in ".toml".
        overrides: "section.key=value" strings, the value spelled as in TOML (a bare word is a
            string), each typed by the same check as the file.
        sections: tables laid over the file's, such as {"agent": {"gamma": 0.95}}.

    Raises:
        PresetError: no such preset; broken TOML; unknown key, wrong type, impossible value or
            combination. All problems are named, with file, line where known, and key.
    """
    path = _find(str(preset))
    data = _merge(_read(path, ()), sections or {})
    changed: dict[str, str] = {}
    for override in overrides:
        keys, value = _parse_override(override)
        data = _merge(data, _nested(keys, value))
        changed[".".join(keys)] = override
    data.setdefault("name", path.stem)
    checked = _checked(data, path, path.read_text(encoding="utf-8"), changed)
    checked._folder = path.resolve().parent
    return checked


def preset_from_toml(text: str, source: str = "preset") -> Preset:
    """Read a resolved preset's text. Raises PresetError as `load_preset` does."""
    path = Path(source)
    data = _parse(text, path)
    data.setdefault("name", path.stem)
    return _checked(data, path, text, {})


def preset_to_toml(preset: Preset) -> str:
    """The whole preset with every default spelled out; reads back equal."""
    return tomli_w.dumps(preset.model_dump(exclude_none=True))


def _find(preset: str) -> Path:
    if preset.endswith(".toml") or "/" in preset:
        path = Path(preset)
        with contextlib.suppress(RuntimeError):  # a home of nobody
            path = path.expanduser()
        if not os.path.isfile(path):  # unlike Path.is_file never raises
            raise PresetError(f"there is no preset file {path}. Give an existing .toml file.")
        return path
    known = known_presets()
    if preset not in known:
        raise PresetError(
            f'there is no preset called "{preset}".{nearest(preset, list(known))} '
            f"Known: {', '.join(known)}. A file of your own is given with its .toml."
        )
    return known[preset]


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise PresetError(f"{path}: this is not TOML: {error}.") from error
    except RecursionError as error:
        raise PresetError(f"{path}: the tables are nested too deeply to read.") from error


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's data on top of all that it extends."""
    if path.resolve() in (link.resolve() for link in seen):
        chain = " -> ".join(str(link) for link in (*seen, path))
        raise PresetError(f"presets extend each other in a circle: {chain}. Break it in one file.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"cannot read {path}: {error}. Expected a TOML file in UTF-8.") from error
    data = _parse(text, path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise PresetError(f"{path}: extends: expected a preset's name or file, received {base!r}.")
    beside = path.parent / base
    base_path = beside if base.endswith(".toml") and beside.is_file() else _find(base)
    return _merge(_read(base_path, (*seen, path)), data)


def _merge(base: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `above` laid over it, table by table."""
    merged = dict(base)
    for key, value in above.items():
        old = merged.get(key)
        if not (isinstance(old, dict) and isinstance(value, Mapping)):
            merged[key] = value
        elif key in _ONE_TABLE and set(old).isdisjoint(value):
            merged[key] = value
        else:
            merged[key] = _merge(old, value)
    return merged


def _parse_override(override: str) -> tuple[list[str], Any]:
    key, equals, text = override.partition("=")
    keys = [part.strip() for part in key.split(".")]
    if not equals or not all(keys) or len(keys) > _MOST_KEYS or not _is_utf8(override):
        raise PresetError(
            f"--set {_printable(override)}: expected KEY=VALUE in UTF-8 with dots between the "
            f"parts of the key, such as agent.gamma=0.95."
        )
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        value = {}
    # More than one key means that the text held a line break: then it is a string as well.
    return keys, value["value"] if set(value) == {"value"} else text.strip()


def _printable(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # bytes of the command line that are no text
        return False
    return True


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _checked(data: dict[str, Any], path: Path, text: str, changed: Mapping[str, str]) -> Preset:
    """Validate, or raise one PresetError that names every problem."""

    def problem(key: str, message: str) -> str:
        for override_key, override in changed.items():
            if f"{key}.".startswith(f"{override_key}.") or f"{override_key}.".startswith(f"{key}."):
                return f"--set {override}: {key}: {message}."
        line = line_of(text, key)
        return f"{path}{f', line {line}' if line else ''}: {key}: {message}."

    try:
        preset = Preset.model_validate(data)
    except ValidationError as error:
        found = [_explain(entry) for entry in error.errors(include_url=False)]
        raise PresetError("\n".join(problem(*entry) for entry in found)) from None
    found = list(conflicts(preset))
    if found:
        raise PresetError("\n".join(problem(*entry) for entry in found))
    return preset


def _explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """A pydantic error as (key, what was expected and received)."""
    location = [str(part) for part in error["loc"] if not _is_union_branch(str(part))]
    key = ".".join(location)
    kind, received = error["type"], error["input"]
    if kind == "extra_forbidden":
        if key in REFUSED_KEYS:
            return key, f"not in a preset: {REFUSED_KEYS[key]}"
        known = _fields_at(location[:-1])
        return key, (f"unknown key.{nearest(location[-1], known)} Known here: {', '.join(known)}")
    if kind == "missing":
        return key, "missing; a preset needs it"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return key or "preset", message.rstrip(".")
    for pydantics, tomls in _TOML_WORDS.items():
        message = re.sub(pydantics, tomls, message)
    return key, f"{message}, received {_shown(received)}"


def _is_union_branch(part: str) -> bool:
    """pydantic names the branch of a union in the location, which is no key of the file."""
    return part in ("int", "float") or "[" in part


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields_at(location: Sequence[str]) -> list[str]:
    """The known keys of the section at `location`."""
    model: type[BaseModel] = Preset
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            break
        options = [field.annotation, *typing.get_args(field.annotation)]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return [*model.model_fields, *(["extends"] if model is Preset else [])]
