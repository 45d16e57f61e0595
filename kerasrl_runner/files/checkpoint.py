"""A checkpoint on disk: the newest whole one survives whatever interrupts the writing of the next.

`checkpoint.json` names the files that belong together and is replaced last. The replay memory lies
in segments, each written once: a checkpoint adds the entries since the one before and drops the
segments that the memory no longer reaches, so that its cost does not grow with the memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.errors import CheckpointError, shorten
from kerasrl_runner.files.atomic import replacing, write_text

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """What was kept."""

    arrays: Columns
    scalars: dict[str, Any]  # JSON: counters and random streams
    appended: int  # entries ever stored in the replay memory
    entries: Columns  # the newest of them, column by column [N, ...]; empty for none
    best_file: Path | None  # a copy of the best weights as they were then


class CheckpointFolder:
    """One run's checkpoint/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = path / "checkpoint.json"

    def exists(self) -> bool:
        """Whether a checkpoint was ever written whole."""
        return self._manifest.exists()

    def write(
        self,
        arrays: Columns,
        scalars: dict[str, Any],
        *,
        appended: int,
        capacity: int,
        entries: Callable[[int], Columns],
        best: tuple[int, Path] | None = None,
    ) -> None:
        """Replace the checkpoint; until the last moment the one before stays whole.

        Args:
            appended: entries ever stored in the replay memory, which holds at most `capacity`.
            entries: first -> the entries [first, appended), column by column.
            best: the env step of the best weights so far, and their file.

        Raises:
            RunError: it cannot be written.
            CheckpointError: the one before is damaged.
        """
        before = self._read_manifest() if self.exists() else None
        serial = before["serial"] + 1 if before else 0
        oldest = max(0, appended - capacity)
        segments = [s for s in (before["segments"] if before else []) if s[1] > oldest]
        first = max(oldest, segments[-1][1] if segments else 0)
        if first < appended:
            segments.append([first, appended])
            _write_arrays(self.path / _segment_name(*segments[-1]), entries(first))
        state = f"state-{serial}.npz"
        _write_arrays(self.path / state, arrays)
        best_copy = None
        if best is not None:
            best_copy = f"best-{best[0]}.h5"
            if before is None or before["best"] != best_copy:
                copy_file(best[1], self.path / best_copy)
        manifest = {
            "serial": serial,
            "state": state,
            "best": best_copy,
            "segments": segments,
            "appended": appended,
            "capacity": capacity,
            "scalars": scalars,
        }
        write_text(self._manifest, json.dumps(manifest | {"checksum": _checksum(manifest)}))
        self._remove_unnamed(manifest)

    def remove_leftovers(self) -> None:
        """Remove what the newest checkpoint does not name: older files, and half-written ones.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        self._remove_unnamed(self._read_manifest())

    def _remove_unnamed(self, manifest: dict[str, Any]) -> None:
        segments = {_segment_name(*segment) for segment in manifest["segments"]}
        kept = {self._manifest.name, manifest["state"], manifest["best"], *segments}
        with contextlib.suppress(OSError):  # The next checkpoint removes what stays.
            for path in self.path.iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def read(self) -> Checkpoint:
        """The newest checkpoint, every file checked.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        manifest = self._read_manifest()
        arrays, appended = self._read_arrays(manifest["state"]), manifest["appended"]
        columns: dict[str, list[np.ndarray]] = {}
        for first, end in manifest["segments"]:
            for column, values in self._read_arrays(_segment_name(first, end)).items():
                columns.setdefault(column, []).append(values)
        count = min(appended, manifest["capacity"])
        newest = {name: np.concatenate(parts)[-count:] for name, parts in columns.items()}
        best_file = self.path / manifest["best"] if manifest["best"] else None
        return Checkpoint(arrays, manifest["scalars"], appended, newest, best_file)

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
        if not isinstance(manifest, dict) or manifest.pop("checksum", None) != _checksum(manifest):
            raise self._damaged("checkpoint.json was changed")
        return manifest

    def _read_arrays(self, name: str) -> Columns:
        try:
            with np.load(self.path / name, allow_pickle=False) as archive:
                # np.load compares a checksum only where it reads to the end of an array, and a
                # damaged header can make the array shorter.
                if (damaged := archive.zip.testzip()) is not None:
                    raise ValueError(f"{damaged} does not fit its checksum")
                return {key: archive[key] for key in archive.files}
        except Exception as error:  # A damaged file makes zipfile and NumPy raise anything.
            raise self._damaged(f"{name}: {error or type(error).__name__}") from error

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"the checkpoint in {self.path} is damaged: {shorten(what)}. Start the run anew, or "
            f"put the folder back from a copy."
        )


def copy_file(source: Path, target: Path) -> None:
    """Replace `target` by a copy of `source`. Raises RunError where it cannot be written."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def _write_arrays(path: Path, arrays: Columns) -> None:
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _segment_name(first: int, end: int) -> str:
    return f"replay-{first}-{end}.npz"


def _checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest: a changed digit of a random stream would go unseen otherwise."""
    text = json.dumps(manifest, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
