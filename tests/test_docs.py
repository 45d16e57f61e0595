"""What the documentation quotes is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("*.md")])
QUOTED = re.compile(r"```python\n# (kerasrl_runner/\S+\.py)\n(.*?)```", re.DOTALL)
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
