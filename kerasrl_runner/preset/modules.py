"""The modules that a preset names: which they are, and their classes."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from kerasrl_runner.errors import PresetError
from kerasrl_runner.files.places import working_folder
from kerasrl_runner.preset.schema import Preset


def modules_of(preset: Preset) -> set[str]:
    """The modules of "module:Id-v0" and of "module:Class" but this project's own.

    Wrapped layers' are included.
    """
    spellings = [preset.env.id, *(wrapper.name for wrapper in preset.env.wrappers)]
    modules = {name.partition(":")[0] for name in spellings if ":" in name}
    others = {module for module in modules if not module.startswith("kerasrl_runner.")}
    return others | layer_modules_of(preset)


def layer_modules_of(preset: Preset) -> set[str]:
    """The modules of the layers alone, which loading the network needs."""
    keys = {key for layer in preset.layers for key in _list_keys(layer.root)}
    return {name.partition(":")[0] for name in keys if ":" in name}


def _list_keys(value: Any) -> list[str]:
    """The keys of a table and of every table in it."""
    if isinstance(value, dict):
        return [*value, *(key for part in value.values() for key in _list_keys(part))]
    return [key for part in value for key in _list_keys(part)] if isinstance(value, list) else []


def make_importable(preset: Preset) -> None:
    """Let `module:` names find modules in the working folder and beside the preset.

    They are searched after everything that is installed.
    """
    for folder in (working_folder(), str(preset.folder or "")):
        if folder and folder not in sys.path:
            sys.path.append(folder)


def import_class(spelling: str, base: type, key: str) -> Any:
    """The class that "module:Class" names; importing runs that module.

    Raises:
        PresetError: no such module or class, or not a subclass of `base`.
    """
    module_name, _, class_name = spelling.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever the module's own code raises
        raise PresetError(
            f'{key}: cannot import "{spelling}": {error}. Expected module:Class, with the module '
            f"installed, in the working folder or beside the preset."
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PresetError(f'{key}: "{spelling}" is not a {base.__name__} class.')
    return found
