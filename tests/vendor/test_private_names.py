"""Private names of the vendor packages stand in vendor.py alone, and a lost one is an error."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kerasrl_runner
from kerasrl_runner import vendor
from kerasrl_runner.errors import StackError

PACKAGE = Path(kerasrl_runner.__file__).parent
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
PRIVATE_PACKAGES = ("tensorflow.python", "tf_keras.src")
ATTRIBUTE_FUNCTIONS = ("getattr", "hasattr", "setattr", "delattr")
# Of the standard library.
ALLOWED = {"_asdict", "_exit"}


def defined_names() -> set[str]:
    """Names that the package itself gives to functions, methods and attributes."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and is_stored_in_self(node):
                names.add(node.attr)
    return names


def is_stored_in_self(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"


def private_names(tree: ast.AST) -> Iterator[str]:
    """Yield private modules, attributes of other objects and names in texts that a file uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{name}" for name in modules]
            yield from (module for module in modules if module.startswith(PRIVATE_PACKAGES))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ATTRIBUTE_FUNCTIONS:
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
            yield from (t for t in texts if isinstance(t, str) and is_private(t))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_other_file_uses_a_private_name():
    known = defined_names() | ALLOWED
    found = {
        (path, name)
        for path, tree in TREES.items()
        for name in private_names(tree)
        if path != "vendor.py" and name not in known
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "from tensorflow.python.eager import execute",
        "import tf_keras.src.backend",
        "layer._could_use_gpu_kernel = False",
        "getattr(optimizer, '_built', False)",
    ],
)
def test_the_search_finds_them(line):
    assert list(private_names(ast.parse(line)))


def test_a_private_name_that_is_gone_is_an_error_with_the_version():
    expected = r"private name tf_keras\.src\.backend\.Gone in tf-keras.*received tf-keras 2\.\d+"
    with pytest.raises(StackError, match=expected):
        vendor.look_up("tf-keras", "tf_keras.src.backend", "Gone")
    with pytest.raises(StackError, match=r"tensorflow\.python\.gone\.name"):
        vendor.look_up("tensorflow", "tensorflow.python.gone", "name")
    with pytest.raises(StackError, match=r"SGD\.build: self\._gone in tf-keras"):
        vendor.check_attribute("tf-keras", vendor.keras.optimizers.SGD.build, "_gone")
