"""NumPy's matrix products in a process of `kerasrl-run`."""

from __future__ import annotations

import os

import pytest
from commands import python

CODE = """
import os
from kerasrl_runner.cli import main
try:
    main(["presets", "list"])
except SystemExit:
    pass
import numpy
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, 1),
        ({"KERASRL_THREADS": "2"}, 2),
        ({"KERASRL_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}, 1),
    ],
)
def test_numpy_computes_on_as_many_threads_as_tensorflow(tmp_path, environment, threads):
    asked = {"KERASRL_THREADS": "", "OPENBLAS_NUM_THREADS": "", **environment}
    seen = int(python(CODE, tmp_path, **asked).splitlines()[-1])
    assert seen == min(threads, os.cpu_count() or 1)
