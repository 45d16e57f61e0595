"""Whether what a preset asks for fits into this machine."""

from __future__ import annotations

import os

from kerasrl_runner.errors import PresetError


def check_memory_fits(entries: int, entry_bytes: int) -> None:
    """Raises PresetError where a full replay memory would not fit into this machine's RAM."""
    ram_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if entries * entry_bytes > ram_bytes:
        raise PresetError(
            f"a replay memory of {entries} entries needs {entries * entry_bytes:,} bytes, and "
            f"this machine has {ram_bytes:,}. Lower memory.limit."
        )
