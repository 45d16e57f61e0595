"""What the documentation quotes is what the code says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from kerasrl_runner.cli.reuse import reuse_script
from kerasrl_runner.engines import build_learner
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.training import fit
from kerasrl_runner.weights.file import read_weights

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*.md")])
QUOTED = re.compile(
    r"```(?:python|toml)\n# ((?:kerasrl_runner|examples)/\S+\.(?:py|toml))\n(.*?)```", re.DOTALL
)
LINK = re.compile(r"\]\(([^)#\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_quoted_line_stands_in_the_file_that_is_named(page):
    for name, lines in QUOTED.findall(page.read_text(encoding="utf-8")):
        code = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines.splitlines() if line and line not in code] == []


def test_the_page_on_the_reference_quotes_its_code():
    text = (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8")
    assert len(QUOTED.findall(text)) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_of_the_project_leads_there(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_defect_that_is_listed_has_a_test_named_after_it():
    page = (REPOSITORY / "docs" / "defects.md").read_text(encoding="utf-8")
    listed = {
        name
        for cell in re.findall(r"^\| (D[^|]*) \|", page, re.MULTILINE)
        for name in cell.split(", ")
    }
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests" / "vendor").glob("*.py"))
    named = {part for name in re.findall(r"def test_(D\w+)", tests) for part in name.split("_")}
    assert len(listed) > 35
    assert listed - named == set()


def python_blocks(heading: str) -> list[str]:
    """The Python code of one section of the README."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = readme.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_the_readme_reuses_weights_as_the_command_says_and_by_numpy_alone(tmp_path, monkeypatch):
    printed, by_numpy = python_blocks("Reuse the weights")
    preset, shipped = load_preset("cartpole"), shipped_folder("weights") / "cartpole.h5"
    learner = build_learner(preset, 0, "reference")
    learner.set_weights(read_weights(shipped))
    space = learner.environment.env.observation_space
    script = reuse_script(Path("best.h5"), preset, space)
    assert printed == script.replace("'", '"') + "\n"  # as the formatter writes quotes
    shutil.copy(shipped, tmp_path / "best.h5")
    monkeypatch.chdir(tmp_path)
    names = {"observation": np.array([0.1, -0.4, 0.05, 0.7], np.float32)}
    exec(by_numpy, names)
    scaled = names["observation"] * np.array(preset.env.observation_scale, np.float32)
    np.testing.assert_allclose(names["x"], learner.q_values([scaled]), rtol=1e-5)


def test_the_page_on_a_game_of_ones_own_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    page = (REPOSITORY / "docs" / "game.md").read_text(encoding="utf-8")
    assert len(QUOTED.findall(page)) == 3
    check, look = re.findall(r"```python\n((?!# ).*?)```", page, re.DOTALL)
    monkeypatch.chdir(shutil.copytree(REPOSITORY / "examples", tmp_path / "examples"))
    monkeypatch.syspath_prepend(".")
    exec(check, {})
    small = {"episodes": 20}
    fit("betting.toml", engine="reference", steps=1_200, run_dir="learned", evaluate=small)
    capsys.readouterr()
    exec(look, {})
    hand = capsys.readouterr().out.splitlines()
    assert hand[0].startswith("You hold ")
    assert hand[-1].endswith(" chips")
    assert any("check or call" in line for line in hand)
