# Two commands do all the set-up on a machine that has make and a Python from 3.11 to 3.13:
# `make run`, `make test`.
PYTHON ?= python3
BIN := .venv/bin
TRY := .wheel-check/venv/bin

.PHONY: run test test-slow check dist wheel try clean

run: .venv/installed
	@$(BIN)/kerasrl-run fit --preset cartpole
	@$(BIN)/kerasrl-run test --episodes 5

test: .venv/tests-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: .venv/tests-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/tests-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# What a release uploads: the sdist, and the wheel that is built from it.
dist: .venv/tests-installed
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

wheel: dist try

# The wheel in an environment of its own, run from another folder: presets and weights travel along.
try:
	$(PYTHON) --version
	rm -rf .wheel-check
	$(PYTHON) -m venv .wheel-check/venv
	$(TRY)/python -m pip install --quiet dist/*.whl
	mkdir .wheel-check/elsewhere
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run presets list
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run test --episodes 2
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run fit --preset cartpole --steps 2000
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run test --run latest --episodes 2
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run doctor

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; name it by make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/tests-installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch .venv/installed $@

clean:
	rm -rf .venv .wheel-check build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
