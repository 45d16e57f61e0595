"""The line of a preset file that holds a key, for messages: tomllib does not keep lines."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'. ]+?)\s*=")


def line_of(text: str, key: str) -> int | None:
    """The 1-based line where `key` ("agent.gamma") or the nearest table above it is written.

    None where no part of the key is in the text (a default, or an extended file's).
    """
    best: tuple[int, int] | None = None
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[1].replace('"', "")
            written = table
        elif entry := _KEY.match(line):
            written = f"{table}.{entry[1]}".lstrip(".").replace('"', "").replace(" ", "")
        else:
            continue
        if f"{key}.".startswith(f"{written}.") and (best is None or len(written) > best[0]):
            best = (len(written), number)
    return best[1] if best else None
