"""Imports run one way and never in a circle, and the door is light."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import python

import kerasrl_runner

PACKAGE = Path(kerasrl_runner.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.parts)

# From what a person types down to the ground. Each package imports itself and all to its right.
ORDER = """
__main__ cli __init__ old_scripts keras_rl doctor runs engines agents weights parts environments
vendor preset files errors
""".split()
# Packages that stand beside the others: all that they may import of the package.
BESIDE = {"pictures": {"pictures", "files", "errors"}, "reference": {"reference"}}
# Who may import a package that stands beside.
TO_BESIDE = {
    "pictures": {"runs", "doctor", "old_scripts"},
    "reference": {"engines", "weights", "parts"},
}
HEAVY = ("tensorflow", "tf_keras", "keras", "rl", "gymnasium")
NO_TENSORFLOW = ("errors", "files", "preset", "pictures", "reference")


def package_of(module: str) -> str:
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


def is_allowed(importer: str, module: str) -> bool:
    """Whether a file of the package `importer` may import `module`."""
    imported = package_of(module)
    if importer in BESIDE:
        return imported in BESIDE[importer]
    if imported in BESIDE:
        return importer in TO_BESIDE[imported]
    return ORDER.index(imported) >= ORDER.index(importer)


def file_of(module: str) -> Path | None:
    """The package's file that "kerasrl_runner.preset.Preset" comes from."""
    parts = module.split(".")
    while parts and parts[0] == PACKAGE.name:
        place = PACKAGE.parent.joinpath(*parts)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path in FILES:
                return path
        parts.pop()
    return None


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_imports_its_own_package_and_those_below(path):
    importer = package_of(module_of(path))
    own = [module for module in imports_of(path) if module.split(".")[0] == "kerasrl_runner"]
    assert [module for module in own if not is_allowed(importer, module)] == []


def test_no_file_is_in_a_circle():
    graph = {path: {file_of(module) for module in imports_of(path)} - {None} for path in FILES}
    assert sum(map(len, graph.values())) > 100
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


@pytest.mark.parametrize("package", NO_TENSORFLOW)
def test_a_light_package_names_no_heavy_one(package):
    files = [path for path in FILES if package_of(module_of(path)) == package]
    heavy = {module for path in files for module in imports_of(path)}
    assert files
    assert [module for module in heavy if module.split(".")[0] in HEAVY] == []


def test_the_reference_imports_numpy_and_the_standard_library_alone():
    files = [path for path in FILES if package_of(module_of(path)) == "reference"]
    imported = {module.split(".")[0] for path in files for module in imports_of(path)}
    assert imported - set(sys.stdlib_module_names) == {"kerasrl_runner", "numpy"}


def test_array_lines_of_the_reference_end_in_their_shape():
    calls = re.compile(r"np\.(dot|where|zeros\w*|maximum|arange|concatenate|stack|asarray)\(")
    for path in (PACKAGE / "reference").glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if calls.search(line) and "lambda" not in line:
                assert re.search(r"# .*\[[^\]]*\]", line), (path.name, line)


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
        "import kerasrl_runner.weights.file, kerasrl_runner.pictures.video",
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
    code = "import kerasrl_runner; kerasrl_runner.build('cartpole')"
    assert loaded_by(code, tmp_path) == {"tensorflow", "tf_keras", "rl", "gymnasium"}
