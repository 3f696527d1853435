# The main commands are `make repro` and `make test`. Both install their requirements first, and both are quick if nothing changed.
# `make setup` installs and runs nothing.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup repro report test tables offline-plots freeze

setup: .venv/requirements.txt

repro: .venv/requirements.txt
	zeroshot check
	dvc repro
	zeroshot results

# Write report.html, one page about the results in this folder, whichever stages have run.
report: .venv/requirements.txt
	zeroshot report

test: .venv/requirements-test.txt
	ruff check .
	ruff format --check .
	basedpyright
	pytest --numprocesses 2

# Write the paper's tables from DVC's experiments, with the commands of the missing runs. COMPARISONS: names in presets/comparison/tables.yaml.
COMPARISONS ?= toy
tables: .venv/requirements.txt
	zeroshot tables $(COMPARISONS)

# Let `dvc plots show` write a page with the library that draws the charts in it, so that it needs no internet. Once for a clone.
offline-plots: .venv/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check vl-convert-python==1.9.0.post1
	mkdir -p .dvc/tmp
	python -c 'import vl_convert; print("<!DOCTYPE html><html><head><meta charset=\"utf-8\">{refresh_tag}<script>", vl_convert.javascript_bundle(), "</script></head><body>{plot_divs}</body></html>", sep="")' > .dvc/tmp/plots.html
	dvc config --local plots.html_template tmp/plots.html

# Each file in .venv is a copy of the installed list of requirements. A changed list is installed again.
.venv/requirements.txt: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed: make PYTHON=python3.11 ...")'
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	cp $< $@

.venv/requirements-test.txt: requirements-test.txt .venv/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	cp $< $@

# Run this after a change of requirements.in or requirements-test.in: it resolves both in new environments and writes the exact versions.
freeze:
	for list in requirements requirements-test; do \
		rm -rf .venv-freeze && $(PYTHON) -m venv .venv-freeze && \
		.venv-freeze/bin/pip install --quiet -r $$list.in && \
		.venv-freeze/bin/pip freeze > $$list.txt || exit 1; \
	done
	rm -rf .venv-freeze
