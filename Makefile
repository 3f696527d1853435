# Two commands: `make repro` and `make test`. Both set up what they need and are quick when nothing changed.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test tables freeze

repro: .venv/requirements.txt
	zeroshot check
	dvc repro
	zeroshot results

test: .venv/requirements-test.txt
	ruff check .
	ruff format --check .
	lint-imports --no-cache
	pyright
	pytest --numprocesses 2

# The paper's tables from the experiments that DVC has, with the commands for those that it lacks; COMPARISONS as in presets/comparison.
COMPARISONS ?= toy
tables: .venv/requirements.txt
	zeroshot tables $(COMPARISONS)

# Each marker is a copy of the list that was installed; a changed list is installed again.
.venv/requirements.txt: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed: make PYTHON=python3.11 ...")'
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	cp $< $@

.venv/requirements-test.txt: requirements-test.txt .venv/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	cp $< $@

# After a change of requirements.in or requirements-test.in: resolve in fresh environments and write down what came of it.
freeze:
	for list in requirements requirements-test; do \
		rm -rf .venv-freeze && $(PYTHON) -m venv .venv-freeze && \
		.venv-freeze/bin/pip install --quiet -r $$list.in && \
		.venv-freeze/bin/pip freeze > $$list.txt || exit 1; \
	done
	rm -rf .venv-freeze
