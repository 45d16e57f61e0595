"""NumPy and the standard library are all that the reference agent imports."""

import ast
import re
import sys
from pathlib import Path

import kerasrl_runner.reference as reference

FILES = sorted(Path(reference.__file__).parent.glob("*.py"))


def test_imports_nothing_but_numpy_and_the_standard_library() -> None:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if name.startswith("kerasrl_runner.reference."):
                    continue
                assert top == "numpy" or top in sys.stdlib_module_names, (file, name)


def test_array_lines_say_their_shape() -> None:
    """Lines that call NumPy's array functions end in a shape comment."""
    calls = re.compile(r"np\.(dot|where|zeros\w*|maximum|arange|concatenate|stack|asarray)\(")
    for file in FILES:
        for line in file.read_text().splitlines():
            if calls.search(line) and "lambda" not in line:
                assert re.search(r"# .*\[[^\]]*\]", line), (file.name, line)
