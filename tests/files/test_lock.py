"""A system without the locks of POSIX, as Windows is."""

from __future__ import annotations

import pytest
from commands import python

# random asks for register_at_fork itself where the system has os.fork.
SYSTEM = "import os, random, sys; sys.modules['fcntl'] = None; del os.register_at_fork\n"
SENTENCE = (
    "kerasrl-runner runs on Linux and macOS: it needs file locks (fcntl) that this system does not "
    "have. On Windows, use it in WSL."
)


@pytest.mark.parametrize("command", ["fit", "test", "runs"])
def test_a_command_ends_in_one_sentence(tmp_path, command):
    code = f"""{SYSTEM}
from kerasrl_runner.cli import main
sys.stderr = sys.stdout
try:
    main([{command!r}])
except SystemExit as ended:
    print(ended.code)
"""
    assert python(code, tmp_path).splitlines() == [f"error: {SENTENCE}", "1"]


def test_the_library_raises_it(tmp_path):
    code = f"""{SYSTEM}
import kerasrl_runner
from kerasrl_runner.errors import RunnerError
try:
    kerasrl_runner.fit
except RunnerError as error:
    print(error)
"""
    assert python(code, tmp_path).strip() == SENTENCE
