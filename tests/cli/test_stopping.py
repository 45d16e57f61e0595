"""Ctrl-C and SIGTERM during a training: stop at once, keep what was learned, say so."""

from __future__ import annotations

import json
import signal
import time

import pytest
from commands import finish, start

from kerasrl_runner.files.weights_file import read_weights


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_the_training_well(tmp_path, number):
    child = start("fit", "--run-dir", "run", "--json", folder=tmp_path)
    log = tmp_path / "run" / "log.csv"
    try:
        waiting = time.monotonic() + 60
        while not (log.exists() and log.read_text().count("\n") > 3):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < waiting, "no training began"
            time.sleep(0.05)
        child.send_signal(number)
        outcome = finish(child, timeout=60)
    finally:
        child.kill()
    assert outcome.code == 130, outcome.stderr
    assert "Traceback" not in outcome.stderr
    said = outcome.json
    assert said["status"] == "interrupted"
    assert 0 < said["env_steps"] < 50_000
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["env_steps"]) == ("interrupted", said["env_steps"])
    assert (
        read_weights(tmp_path / "run" / "weights.h5").attributes["env_steps"] == (said["env_steps"])
    )
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]
