"""Named arrays in one .npz that can be trusted after any crash: checked, never unpickled."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasrl_runner.errors import CheckpointError
from kerasrl_runner.files.atomic import replacing


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace `path` by an uncompressed .npz, which `np.load` reads as well.

    Raises:
        RunError: it cannot be written.
    """
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, array in arrays.items():
            # A fixed date: equal arrays give equal files.
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of `write_arrays`, their checksums compared.

    Raises:
        CheckpointError: no such file, not one of these, truncated or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removesuffix(".npy"): _array(archive, info)
                for info in archive.infolist()
            }
    except Exception as error:  # zipfile and NumPy raise whatever they meet in a damaged file
        reason = str(error)[:200] or type(error).__name__
        raise CheckpointError(
            f"{path} is damaged: {reason}. Expected what a training "
            f"wrote; start the run anew, or put the file back from a copy."
        ) from error


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.compress_type != zipfile.ZIP_STORED:  # a few bytes could claim gigabytes
        raise ValueError(f"{info.filename} is compressed")
    content = archive.read(info)  # compares the checksum
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{info.filename} is of .npy version {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    values = content[file.tell() :]
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{info.filename}: {len(values)} bytes are no {dtype} of {shape}")
    array = np.frombuffer(values, dtype)
    array = array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    return array.copy()
