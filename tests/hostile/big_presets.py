"""Presets that once took minutes, made as they are needed: each is as large as a preset may be."""

from __future__ import annotations

from collections.abc import Callable

from kerasrl_runner.preset.toml import MOST_CHARACTERS

HEAD = '[env]\nid = "CartPole-v1"\n[model]\nlayers = []\n'
ROOM = MOST_CHARACTERS - 300


def _many(line: Callable[[int], str], head: str = HEAD) -> str:
    parts, length, number = [head], len(head), 0
    while length < ROOM - 300:
        parts.append(line(number))
        length += len(parts[-1])
        number += 1
    return "".join(parts)


# Problem at the end of a long text: its line is looked for in all of it.
WRONG = "\n[wrong]\n"

BIG_PRESETS: dict[str, str] = {
    "a key of 10,000 parts": f"{HEAD}[env.kwargs]\n{'a.' * 10_000}a = 1\n",
    "a quoted key of many parts": HEAD + "[env.kwargs]\n" + '\'a\' . "\\"" .' * 9_000 + "a = 1\n",
    "a key of many spaced parts": HEAD + "[env.kwargs]\n" + "a          ." * 20_000 + "a = 1\n",
    "a key of many long parts": HEAD + "[env.kwargs]\n" + f"{'y' * 201}." * 1_200 + "a = 1\n",
    "a table of many parts": f"{HEAD}[{'a.' * 10_000}a]\n",
    "a text of brackets": f"{HEAD}[env.kwargs]\nx = '''\n{'[' * (ROOM - 100)}'''{WRONG}",
    "a text of spaces": f"{HEAD}[env.kwargs]\nx = '''\n{' ' * (ROOM - 100)}x'''{WRONG}",
    "a text of quotes": f'{HEAD}[env.kwargs]\nx = """\n'
    + '\\"' * (ROOM // 2 - 100)
    + f'"""{WRONG}',
    "a bracket and spaces": f"{HEAD}[env.kwargs]\nx = '''\n[{' ' * (ROOM - 100)}'''{WRONG}",
    "unknown keys": _many(lambda number: f"x{number} = 1\n"),
    "layers of no name": _many(lambda number: "{},", "[model]\nlayers = [") + "]\n",
    "layers of wrong names": _many(lambda n: f"{{Dens{n} = {{}}}},", "[model]\nlayers = [") + "]\n",
    "equal tables": _many(lambda number: "[[b]]\n"),
    "more than any preset": "#" * 20_000_000,
}
