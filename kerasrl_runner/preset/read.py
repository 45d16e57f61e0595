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

from kerasrl_runner.errors import PresetError, nearest, shortened
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.files.plain import MOST_LEVELS
from kerasrl_runner.preset.check import conflicts
from kerasrl_runner.preset.lines import line_of
from kerasrl_runner.preset.names import REFUSED_KEYS
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.preset.toml import parse_toml, read_toml

# Tables that hold exactly one table, whose name is a class: another class replaces the whole.
_ONE_TABLE = ("policy", "inner_policy", "optimizer", "learning_rate")

_MOST_EXTENDED = 20
_MOST_PROBLEMS = 10  # said at once

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
    checked = _checked(data, path, read_toml(path), changed)
    checked._folder = path.resolve().parent
    return checked


def choose_preset(preset: str | Path | Preset, sections: Mapping[str, Mapping[str, Any]]) -> Preset:
    """The Preset itself, or the one that `load_preset` reads with these sections laid over it."""
    if not isinstance(preset, Preset):
        return load_preset(preset, sections=sections)
    if sections:
        raise TypeError("overrides go with a preset's name or file; build the Preset with them")
    return preset


def preset_from_toml(text: str, source: str = "preset") -> Preset:
    """Read a resolved preset's text. Raises PresetError as `load_preset` does."""
    path = Path(source)
    data = parse_toml(text, path)
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
        # isfile never raises, unlike Path's; a device or a pipe is none.
        if path.suffix != ".toml" or not os.path.isfile(path):
            raise PresetError(
                f"there is no preset file {shortened(path)}. Give an existing .toml file."
            )
        return path
    known = known_presets()
    if preset not in known:
        raise PresetError(
            f'there is no preset called "{shortened(preset)}".{nearest(preset, list(known))} '
            f"Known: {', '.join(known)}. A file of your own is given with its .toml."
        )
    return known[preset]


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's data on top of all that it extends."""
    if path.resolve() in (link.resolve() for link in seen):
        chain = " -> ".join(str(link) for link in (*seen, path))
        raise PresetError(f"presets extend each other in a circle: {chain}. Break it in one file.")
    if len(seen) > _MOST_EXTENDED:
        raise PresetError(f"{path}: more than {_MOST_EXTENDED} presets extend one another.")
    data = parse_toml(read_toml(path), path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise PresetError(
            f"{path}: extends: expected a preset's name or file, received {shortened(base)}."
        )
    beside = path.parent / base
    base_path = beside if base.endswith(".toml") and os.path.isfile(beside) else _find(base)
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
    said = shortened(override, 80)
    if not equals or not all(keys) or len(keys) > MOST_LEVELS or not _is_utf8(override):
        raise PresetError(
            f"--set {said}: expected KEY=VALUE in UTF-8 with dots between the parts of the key, "
            f"such as agent.gamma=0.95."
        )
    try:
        value = parse_toml(f"value = {text}", f"--set {said}")
    except PresetError as error:
        if not isinstance(error.__cause__, tomllib.TOMLDecodeError):
            raise
        value = {}
    # More than one key means that the text held a line break: then it is a string as well.
    return keys, value["value"] if set(value) == {"value"} else text.strip()


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
                return f"--set {shortened(override, 80)}: {shortened(key, 80)}: {message}."
        line = line_of(text, key)
        return f"{path}{f', line {line}' if line else ''}: {shortened(key, 80)}: {message}."

    def refused(found: Sequence[tuple[str, str]], more: int) -> PresetError:
        said = [problem(key, shortened(message, 1_000)) for key, message in found]
        return PresetError("\n".join([*said, f"And {more} more problems."] if more else said))

    try:
        preset = Preset.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        found = [_explain(entry) for entry in errors[:_MOST_PROBLEMS]]
        raise refused(found, len(errors) - len(found)) from None
    found = list(conflicts(preset))
    if found:
        raise refused(found, 0)
    return preset


def _explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """A pydantic error as (key, what was expected and received)."""
    kind, received = error["type"], error["input"]
    parts = [str(part) for part in error["loc"]]
    location = [part for part in parts[:-1] if not _is_union_branch(part)]
    # What the file itself calls "int" or "a[b]" is no branch.
    if kind == "extra_forbidden" or not _is_union_branch(parts[-1]):
        location.append(parts[-1])
    key = ".".join(location)
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
    return key, f"{message}, received {shortened(repr(received), 80)}"


def _is_union_branch(part: str) -> bool:
    """pydantic names the branch of a union in the location, which is no key of the file."""
    return part in ("int", "float") or "[" in part


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
