# Two commands do all the set-up on a machine that has Python 3.11 and make: `make run`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-slow check wheel clean

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

# A wheel in an environment of its own, run from another folder: presets and weights travel along.
wheel: .venv/tests-installed
	rm -rf dist build .wheel-check
	$(BIN)/python -m build --wheel
	$(PYTHON) -m venv .wheel-check/venv
	.wheel-check/venv/bin/python -m pip install --quiet dist/*.whl
	mkdir -p .wheel-check/elsewhere
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run presets list
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run test --episodes 2
	cd .wheel-check/elsewhere && ../venv/bin/kerasrl-run doctor

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it by make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/tests-installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch .venv/installed $@

clean:
	rm -rf .venv .wheel-check build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
