"""Mutated presets and `--set` strings, from every shipped preset and one that says everything."""

from __future__ import annotations

import tomllib
from typing import Any

import tomli_w
from hypothesis import strategies as st

from kerasrl_runner.files.places import shipped_folder

MAXIMAL = """\
name = "everything"
description = "each section, each key"

[env]
id = "CartPole-v1"
max_episode_steps = 200
kwargs = { size = 4, names = ["a", "b"], map = { a = 1.5, b = [[1, 2], [3]] }, on = 2026-11-21 }
observation_scale = [1.0, 2.0, 3.0, 4.0]
reward_scale = 0.5

[model]
layers = [
  { Dense = { units = 24, activation = "relu" } },
  { "mine:Layer" = { factor = 2.0 } },
  { TimeDistributed = { layer = { Dense = { units = 4 } } } },
]

[memory]
limit = 5_000
window_length = 2

[policy.LinearAnnealedPolicy]
inner_policy = { MaxBoltzmannQPolicy = { eps = 0.1, tau = 1.0, clip = [-500.0, 500.0] } }
attr = "eps"
value_max = 1.0
value_min = 0.1
value_test = 0.0
nb_steps = 1_000

[agent]
gamma = 0.9
batch_size = 16
nb_steps_warmup = 100
train_interval = 2
gradient_steps = 2
target_model_update = 500
delta_clip = 1.0
enable_double_dqn = true
enable_dueling_network = true
dueling_type = "naive"

[optimizer.Adam]
learning_rate = { PiecewiseConstantDecay = { boundaries = [10, 20], values = [0.1, 0.2, 0.3] } }
clipnorm = 1.0

[fit]
nb_steps = 2_000
nb_max_episode_steps = 100

[evaluate]
every_steps = 500
episodes = 3
nb_max_episode_steps = 100
stop_at_return = 400.0

[test]
nb_episodes = 3
nb_max_episode_steps = 100
"""

BASES = [
    tomllib.loads(MAXIMAL),
    *(
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(shipped_folder("presets").glob("*.toml"))
    ),
]


def _paths(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and every entry of a list, however deep."""
    entries: Any = part.items() if isinstance(part, dict) else ()
    entries = enumerate(part) if isinstance(part, list) else entries
    return [p for key, value in entries for p in ((*path, key), *_paths(value, (*path, key)))]


PATHS = [_paths(base) for base in BASES]
KEYS = sorted({part for paths in PATHS for path in paths for part in path if isinstance(part, str)})
DOTTED = sorted({".".join(map(str, path)) for paths in PATHS for path in paths})

# Files that lie beside the case, and what lies elsewhere: see `make_folder`.
NAMES = """
mine.toml mine ./mine.toml sub/../mine.toml other.toml chain0.toml link.toml loop.toml pipe.toml
zero.toml folder.toml huge.toml cartpole cartpole-kerasrl cartpole.toml ../mine.toml /dev/zero
/dev/stdin /dev/null /dev/zero.toml /etc/passwd /proc/self/environ /proc/kmsg /proc/self/mem
~/x.toml ~root/x.toml ~nobody-there/x.toml . .. / //x.toml bytes.toml
""".split()

# TOML that no Python value of ours is written as.
RAW = [
    *(
        "9" * 30,
        "-" + "9" * 30,
        "9" * 5_000,
        "0x" + "f" * 40,
        "0x" + "f" * 5_000,
        "0o" + "7" * 9_000,
    ),
    *("1e999", "-1e999", "1e-999", "nan", "+inf", "-nan", "9_2", "0b1", "07:32:00", "1979-05-27"),
    *("1979-05-27T07:32:00Z", "9999-12-31T23:59:59.999999999+23:59", "'''\n[[[\n'''", '"\\u0000"'),
    *("[" * 100 + "]" * 100, "[" * 15 + "]" * 15, "[" * 5_000, "{a=" * 150 + "1" + "}" * 150),
    *(
        "{a=" * 5_000,
        "{" + "a." * 40 + "a=1}",
        "{" + "a." * 30_000 + "a=1}",
        "[" + "1," * 9_000 + "]",
    ),
    *('"""\n' + "[" * 30_000 + '\n"""', '"""\n' + " " * 30_000 + 'x\n"""', '"' + "\\" * 400 + '"'),
    *(
        '"\\ud800"',
        '"\\U0010ffff"',
        "'a\tb'",
        '"\\\\"',
        "{}",
        "[]",
        "[[]]",
        "[{}]",
        "''",
        "tru",
        "",
    ),
]

TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="[]{}=\"',.#\\\n\t /:01aenx_-+", max_size=30),
    st.sampled_from(
        [
            *(
                "..",
                "a/../../b",
                "a.",
                "a\n",
                "a ",
                "-a",
                "a\x00",
                "CON",
                "é" * 100,
                "x" * 101,
                "a/b",
            ),
            *(
                "os:system",
                "__main__:X",
                ":",
                "a:",
                ":a",
                "Lambda",
                "Dense",
                "x" * 100_000,
                "\x1b[2J",
            ),
        ]
    ),
    st.sampled_from([*NAMES, *KEYS]),
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64, 10**400]),
    st.floats(),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
VALUES = st.one_of(
    SCALARS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    ),
)


@st.composite
def _preset_data(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """A preset's data with some of it changed, and the raw TOML that stands for its marks."""
    number = draw(st.integers(0, len(BASES) - 1))
    data = tomllib.loads(tomli_w.dumps(BASES[number]))
    raw: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(
            st.sampled_from(
                [*["value", "free"] * 3, "raw", "raw", "delete", "rename", "add", "extends"]
            )
        )
        path = draw(st.sampled_from(PATHS[number]))
        if kind == "free" and isinstance(data.get("env"), dict):
            data["env"]["kwargs"] = {draw(TEXTS): draw(VALUES)}
            continue
        if kind == "extends":
            data["extends"] = draw(st.sampled_from(NAMES) | VALUES)
            continue
        holder: Any = data
        try:
            for part in path[:-1]:
                holder = holder[part]
            holder[path[-1]]
        except (KeyError, IndexError, TypeError):  # an earlier change has taken it away
            continue
        if isinstance(holder, dict | list):
            _change(draw, holder, path[-1], kind, raw)
    return data, raw


def _change(draw: st.DrawFn, holder: Any, key: Any, kind: str, raw: list[str]) -> None:
    if kind == "delete":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw(TEXTS)] = holder.pop(key)
    elif kind == "add" and isinstance(holder, dict):
        holder[draw(TEXTS)] = draw(VALUES)
    elif kind == "raw":
        raw.append(draw(st.sampled_from(RAW)))
        holder[key] = f"@@{len(raw) - 1}@@"
    else:
        holder[key] = draw(VALUES)


def _as_toml(data: dict[str, Any], raw: list[str]) -> str:
    try:
        text = tomli_w.dumps(data)
    except (ValueError, TypeError, RecursionError):  # the writer's limits are not the reader's
        text = MAXIMAL
    for number, replacement in enumerate(raw):
        text = text.replace(f'"@@{number}@@"', replacement)
    return text


@st.composite
def preset_bytes(draw: st.DrawFn) -> bytes:
    """A preset file's content, mutated as data, as text or as bytes."""
    text = _as_toml(*draw(_preset_data()))
    kind = draw(
        st.sampled_from(["whole"] * 6 + ["twice", "lines", "cut", "bytes", "bytes", "random"])
    )
    if kind == "twice":
        lines = text.splitlines(keepends=True)
        at = draw(st.integers(0, len(lines)))
        text = "".join([*lines[:at], *lines[: draw(st.integers(0, len(lines)))]])
    elif kind == "lines":
        text = "\n".join(draw(st.permutations(text.split("\n")[:12])))
    elif kind == "random":
        text = draw(st.text(max_size=200))
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    if kind == "cut":
        del content[draw(st.integers(0, len(content))) :]
    elif kind == "bytes":
        for _ in range(draw(st.integers(1, 6))):
            at = draw(st.integers(0, len(content)))
            damage = [
                b"\x00",
                b"\xff",
                b"\xef\xbb\xbf",
                b"\x80",
                b"[",
                b"\n",
                b"\r",
                b'"',
                b".",
                b"=",
            ]
            content[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from(damage))
    return bytes(content)


_SPELLED = st.one_of(
    TEXTS,
    NUMBERS.map(lambda number: str(number) if abs(number) < 1e300 else "1e999"),
    st.sampled_from(
        [*RAW, "true", "{ Adam = {} }", "[{ Dense = {} }]", "x\ny=1", "1 # no", "\udc80"]
    ),
    VALUES.map(lambda value: _as_toml({"x": value}, []).partition("= ")[2]),
)

# What is typed behind --set.
overrides = st.one_of(
    st.text(max_size=60),
    st.builds("{}={}".format, st.sampled_from([*DOTTED, *KEYS]), _SPELLED),
    st.builds("{}={}".format, st.lists(st.sampled_from(KEYS), max_size=30).map(".".join), _SPELLED),
    st.sampled_from(["=", "a" * 100_000, "a." * 20_000 + "=1", "env.kwargs." + "a." * 50 + "b=1"]),
)
