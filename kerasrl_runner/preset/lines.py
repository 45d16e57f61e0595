"""The line of a preset file that holds a key, for messages: tomllib does not keep lines."""

from __future__ import annotations


def line_of(text: str, key: str) -> int | None:
    """The 1-based line where `key` ("agent.gamma") or the nearest table above it is written.

    None where no part of the key is in the text (a default, or an extended file's).
    """
    best: tuple[int, int] | None = None
    table = ""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if line.startswith("["):
            table = written = _unquote_key(line.lstrip("[").partition("]")[0])
        elif "=" in line:
            written = _unquote_key(f"{table}.{line.partition('=')[0]}").lstrip(".")
        else:
            continue
        if f"{key}.".startswith(f"{written}.") and (best is None or len(written) > best[0]):
            best = (len(written), number)
    return best[1] if best else None


def _unquote_key(key: str) -> str:
    return key.replace('"', "").replace(" ", "")
