"""Imports run one way, the door is light, and no file grows beyond a screen or six."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import python

import kerasrl_runner

PACKAGE = Path(kerasrl_runner.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.parts)

# From what a person types down to the ground. Each room may import itself and all below it.
ROOMS = """
cli studies weights runs build agents parts environments keras_rl preset files errors
""".split()
TOP = ("cli", "api", "doctor", "__init__", "__main__")
# Rooms that stand beside the others: all that they may import of the package.
BESIDE = {"pictures": {"pictures", "files", "errors"}, "reference": {"reference"}}
# Who may import a room that stands beside, and which part of it ("" is all).
TO_BESIDE = {("runs", "pictures"): "video", ("runs", "reference"): "", ("build", "reference"): ""}
HEAVY = ("tensorflow", "tf_keras", "keras", "rl", "gymnasium")
NO_TENSORFLOW = ("errors", "files", "preset", "pictures")


def room_of(module: str) -> str:
    """ "runs" for kerasrl_runner.runs.training, "__init__" for the package itself."""
    return (*module.split("."), "__init__")[1]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Modules that a file imports at any depth, but those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_typed = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in only_typed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(importer: str, module: str) -> bool:
    """Whether a file of the room `importer` may import `module` of the package."""
    imported = room_of(module)
    if importer in BESIDE:
        return imported in BESIDE[importer]
    if importer in TOP:
        return imported != "__init__" or importer == "__main__"
    if imported in BESIDE:
        part = TO_BESIDE.get((importer, imported))
        return part is not None and module.startswith(f"kerasrl_runner.{imported}.{part}")
    if imported not in ROOMS:
        return False
    return ROOMS.index(imported) >= ROOMS.index(importer)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_imports_its_own_room_and_those_below(path):
    importer = room_of(module_of(path))
    assert importer in (*TOP, *ROOMS, *BESIDE), f"{importer} has no place in the order of rooms"
    own = [module for module in imports_of(path) if module.split(".")[0] == "kerasrl_runner"]
    assert [module for module in own if not allowed(importer, module)] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_has_at_most_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("room", NO_TENSORFLOW)
def test_a_light_room_names_no_heavy_package(room):
    files = [path for path in FILES if room_of(module_of(path)) == room]
    heavy = {module for path in files for module in imports_of(path)}
    assert files
    assert [module for module in heavy if module.split(".")[0] in HEAVY] == []


def loaded_by(code: str, folder: Path) -> set[str]:
    """Which heavy packages are in memory after `code` ran in a process of its own."""
    heavy = f"sorted(set({HEAVY}) & set(sys.modules))"
    report = f"import sys\n{code}\nprint('HEAVY', *{heavy})"
    return set(python(report, folder, timeout=60).splitlines()[-1].split()[1:])


def command_line(*arguments: str) -> str:
    return (
        f"from kerasrl_runner.cli import main\ntry:\n    main({list(arguments)})\n"
        "except SystemExit as ended:\n    assert not ended.code"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import kerasrl_runner",
        "import kerasrl_runner; kerasrl_runner.load_preset('cartpole')",
        "import kerasrl_runner.files.weights_file, kerasrl_runner.pictures.video",
        command_line("--help"),
        command_line("fit", "--help"),
        command_line("test", "--help"),
        command_line("presets", "list"),
        command_line("presets", "show", "cartpole"),
    ],
)
def test_the_door_is_light(code, tmp_path):
    assert loaded_by(code, tmp_path) == set()


def test_what_needs_tensorflow_is_seen_to_load_it(tmp_path):
    code = "import kerasrl_runner; kerasrl_runner.build"
    assert loaded_by(code, tmp_path) == {"tensorflow", "tf_keras", "rl", "gymnasium"}
