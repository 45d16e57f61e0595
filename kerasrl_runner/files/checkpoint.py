"""A checkpoint on disk: the newest whole one survives whatever interrupts the writing of the next.

`checkpoint.json` names the files that belong together and is replaced last. The replay memory lies
in segments, each written once: a checkpoint adds the entries since the one before and drops the
segments that the memory no longer reaches, so that its cost does not grow with the memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.errors import CheckpointError
from kerasrl_runner.files.arrays_file import read_arrays, write_arrays
from kerasrl_runner.files.atomic import write_json

_FORMAT = 1
_STATE = re.compile(r"state-\d{1,18}\.npz")
_SEGMENT = re.compile(r"replay-(\d{1,18})-(\d{1,18})\.npz")

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """What was kept: `entries` are the newest of the `appended` that were ever stored."""

    arrays: Columns
    numbers: dict[str, Any]  # JSON
    appended: int
    entries: Columns | None  # None for an empty memory


class CheckpointFolder:
    """One run's checkpoint/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = path / "checkpoint.json"

    def exists(self) -> bool:
        """Whether a checkpoint was ever written whole."""
        return self._manifest.exists()

    def is_blank(self) -> bool:
        """Whether nothing is kept here but, at most, the start of a training."""
        try:
            return not self.exists() or self._read_manifest()["appended"] == 0
        except CheckpointError:
            return False

    def write(
        self,
        arrays: Columns,
        numbers: dict[str, Any],
        appended: int,
        capacity: int,
        entries: Callable[[int], Columns],
    ) -> None:
        """Replace the checkpoint; until the last moment the one before stays whole.

        Args:
            appended: entries ever stored in the replay memory, which holds at most `capacity`.
            entries: first -> the entries [first, appended), column by column.

        Raises:
            RunError: it cannot be written.
            CheckpointError: the one before is damaged.
        """
        before = self._read_manifest() if self.exists() else None
        oldest = max(0, appended - capacity)
        kept = [s for s in (before["segments"] if before else []) if _ends(s)[1] > oldest]
        first = max(oldest, _ends(kept[-1])[1] if kept else 0)
        if first < appended:
            segment = f"replay-{first}-{appended}.npz"
            write_arrays(self.path / segment, entries(first))
            kept.append(segment)
        state = f"state-{before['serial'] + 1 if before else 0}.npz"
        write_arrays(self.path / state, arrays)
        manifest = {
            "format": _FORMAT,
            "serial": before["serial"] + 1 if before else 0,
            "state": state,
            "segments": kept,
            "appended": appended,
            "capacity": capacity,
            "numbers": numbers,
        }
        write_json(self._manifest, manifest | {"checksum": checksum(manifest)}, indent=None)
        with contextlib.suppress(OSError):  # what stays goes next time
            for path in self.path.iterdir():
                if path.name not in (state, self._manifest.name, *kept):
                    path.unlink(missing_ok=True)

    def read(self) -> Checkpoint:
        """The newest checkpoint, every file checked.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        manifest = self._read_manifest()
        appended, capacity = manifest["appended"], manifest["capacity"]
        count = min(appended, capacity)
        arrays = read_arrays(self.path / manifest["state"])
        columns: dict[str, list[np.ndarray]] = {}
        for segment in manifest["segments"]:
            first, end = _ends(segment)
            for name, column in read_arrays(self.path / segment).items():
                if column.shape[:1] != (end - first,):
                    raise self._damaged(f"{segment} does not hold {end - first} entries")
                columns.setdefault(name, []).append(column)
        try:
            joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        except (TypeError, ValueError) as error:
            raise self._damaged(f"its segments do not fit together: {error}") from error
        if any(len(column) < count for column in joined.values()) or bool(count) != bool(joined):
            raise self._damaged(f"its segments hold fewer than {count} entries")
        newest = {name: column[len(column) - count :] for name, column in joined.items()}
        return Checkpoint(arrays, manifest["numbers"], appended, newest or None)

    def _read_manifest(self) -> dict[str, Any]:
        try:
            manifest = json.loads(self._manifest.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise CheckpointError(
                f"there is no checkpoint in {self.path.parent}: the run was started with "
                f"--checkpoint-every 0, or its files were removed. Start it anew."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(str(error)) from error
        if not isinstance(manifest, dict) or manifest.pop("checksum", None) != checksum(manifest):
            raise self._damaged("checkpoint.json was changed")
        if not _is_manifest(manifest):
            raise self._damaged("checkpoint.json is not what a training writes")
        return manifest

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"the checkpoint in {self.path} is damaged: {what}. Start the run anew, or put the "
            f"folder back from a copy."
        )


def checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest: a flipped digit of a random stream would look like any other."""
    text = json.dumps(manifest, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_manifest(manifest: dict[str, Any]) -> bool:
    if manifest.get("format") != _FORMAT:
        return False
    counts = [manifest.get(key) for key in ("serial", "appended", "capacity")]
    if not all(type(count) is int and 0 <= count < 10**18 for count in counts):
        return False
    segments, state = manifest.get("segments"), manifest.get("state")
    if not isinstance(state, str) or not _STATE.fullmatch(state):
        return False
    if not isinstance(segments, list) or not isinstance(manifest.get("numbers"), dict):
        return False
    if not all(isinstance(name, str) and _SEGMENT.fullmatch(name) for name in segments):
        return False
    ends = [_ends(name) for name in segments]
    follow = all(left[1] == right[0] for left, right in itertools.pairwise(ends))
    return follow and (ends[-1][1] if ends else 0) == manifest["appended"]


def _ends(segment: str) -> tuple[int, int]:
    """The numbers of a segment's first entry and of the one after its last."""
    match = _SEGMENT.fullmatch(segment)
    assert match is not None
    return int(match[1]), int(match[2])
