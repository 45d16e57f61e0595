"""The statements of an old script, read from its source: nothing runs, and nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kerasrl_runner.errors import UsageError

_IMPORT = re.compile(r"(?:from|import) \.*([\w.]+)(?: import (.+))?")


class Statement(NamedTuple):
    """One statement, without those inside of it, in the one spelling of `ast.unparse`."""

    text: str
    path: Path
    line: int


def read_statements(script: Path) -> list[Statement]:
    """The statements of the script and of the modules beside it that it imports.

    Raises:
        UsageError: no such file, or no Python 3.
    """
    if script.suffix == ".ipynb":
        raise UsageError(f"{script} is a notebook: jupyter nbconvert --to script {script}")
    statements: list[Statement] = []
    paths = [script]
    for path in paths:  # grows as imports are found
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (OSError, SyntaxError, ValueError) as error:
            if path is not script:  # perhaps it never runs
                continue
            if isinstance(error, OSError):
                raise UsageError(f"cannot read the script {path}: {error.strerror}.") from error
            raise UsageError(
                f"{path}: expected a script in Python 3, received: {error}. The program 2to3 of "
                f"Python up to 3.12 converts a script in Python 2."
            ) from error
        found = sorted(_list_statements(path, tree), key=lambda statement: statement.line)
        statements += found
        for statement in found:
            if imported := _IMPORT.match(statement.text):
                beside = _find_beside({script.resolve().parent, path.parent}, *imported.groups())
                paths += [module for module in beside if module not in paths]
    return statements


def _list_statements(path: Path, tree: ast.Module) -> Iterator[Statement]:
    for node in [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]:
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            if hasattr(node, part):  # the statements in it stand for themselves
                setattr(node, part, [])
        yield Statement(ast.unparse(node).rpartition("\n")[2], path, node.lineno)


def _find_beside(folders: set[Path], module: str, names: str | None) -> Iterator[Path]:
    """The files in these folders that `from module import names` runs."""
    parts = module.split(".")
    if parts[0] in ("gym", "keras", "rl", "tensorflow"):  # a copy of these beside is not imported
        return
    places = [parts[:count] for count in range(1, len(parts) + 1)]
    places += [[*parts, name] for name in re.findall(r"\w+", names or "")]
    for folder in folders:
        for place in places:
            path = folder.joinpath(*place)
            yield from filter(Path.is_file, (path.with_suffix(".py"), path / "__init__.py"))
