# Two commands for a newcomer, `make demo` and `make test`. Needs Python 3.11 and make; everything else goes into .venv and build/.

ARGS ?=
PYTHON := .venv/bin/python
READY := .venv/.ready
TORCH := $(shell sed -n 's/.*"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
DEMO := build/demo
POLICY := build/policy
AUDIT := build/audit
READERS := build/readers
LOCK = $(PYTHON) -m uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-package torch \
	--no-annotate --no-header --quiet $(ARGS)

.PHONY: help demo test e2e lint policy audit readers bench docs notebook lock clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

demo: $(READY) ## embed a small made-up sample on this machine, and say what was written (half a minute after the set-up)
	@$(PYTHON) -m embedder.sample $(DEMO)/source
	@$(PYTHON) workflows/submit.py --year 2020 --local --source $(DEMO)/source --weights random:0 --columns 74-77 --output $(DEMO)/output $(ARGS)
	@echo "See similar chips on a map: .venv/bin/embedder explore --output $(DEMO)/output --year 2020"
	@echo "A map of classes, for any GIS: .venv/bin/embedder classify --output $(DEMO)/output --labels $(DEMO)/source/labels.geojson --to $(DEMO)/classes.tif"
	@echo "In Python, with pictures: docs/notebook.ipynb"
	@echo "What embeddings are worth, on a page: .venv/bin/embedder report --output $(DEMO)/output --labels $(DEMO)/source --to $(DEMO)/report"
	@echo "Open the picture to see what was embedded; read a file with geopandas.read_parquet, or look at it in QGIS."

test: $(READY) ## all tests that this machine can run; ARGS="-k grid" for some of them
	@$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

e2e: $(READY) ## those of a cluster alone, one after the other
	@$(PYTHON) -m pytest tests/e2e $(ARGS)

lint: $(READY) ## ruff, mypy, which folder may import which, and hadolint on the Dockerfile
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/hadolint image/Dockerfile

policy: $(POLICY)/.ready ## checkov on what the chart renders, the pods of its workflow among it
	@rm -rf $(POLICY)/objects
	@$(POLICY)/venv/bin/python tests/policy/pods.py tests/golden/chart $(POLICY)/objects
	@$(POLICY)/venv/bin/checkov --config-file tests/policy/checkov.yaml --directory $(POLICY)/objects
	@echo "Checkov finds nothing; tests/policy/checkov.yaml says what is skipped, and why."

audit: $(AUDIT)/.ready ## known holes in what the locks name; asks a service, so that the CI does without
	@$(AUDIT)/venv/bin/python tests/policy/audit.py --exceptions tests/policy/audit.toml --also "$(TORCH)" requirements*.lock

readers: $(READERS)/.ready ## a small run's files and its data set, opened by what others read them with, and the recipes of the docs
	@rm -rf $(READERS)/output $(READERS)/dataset
	@$(PYTHON) -m embedder.sample $(READERS)/source
	@$(PYTHON) workflows/submit.py --year 2020 --local --source $(READERS)/source --weights random:0 --columns 1,74-77 --output $(READERS)/output
	@.venv/bin/embedder publish --output $(READERS)/output --to $(READERS)/dataset --form geoparquet --form int8 --form zarr
	@READERS=$(READERS) $(READERS)/venv/bin/python -m pytest -p no:cacheprovider tests/readers $(ARGS)

bench: $(READY) ## what the claims about speed rest on
	@for script in benchmarks/*.py; do echo "== $$script"; $(PYTHON) "$$script" || exit; done

docs: $(READY) ## write docs/cli.md anew from the commands' help
	@$(PYTHON) docs/generate_cli.py

notebook: demo ## run docs/notebook.ipynb anew on the demo's output, and keep its pictures
	@$(PYTHON) docs/run_notebook.py

lock: $(READY) ## find the dependencies anew; ARGS=--upgrade for the newest
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) pyproject.toml --extra classify --extra explore --extra notebook --extra publish --extra report --group dev --output-file requirements-dev.lock
	$(LOCK) --group policy --output-file requirements-policy.lock
	$(LOCK) --group audit --output-file requirements-audit.lock
	$(LOCK) --group readers --output-file requirements-readers.lock

clean: ## remove .venv, build/ and the caches
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Torch stands outside the lock: its build (CUDA or CPU), and so its hash, is the machine's choice; its version is in pyproject.toml.
$(READY): requirements-dev.lock pyproject.toml
	@is_311() { "$$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }; \
	if is_311 $(PYTHON) && $(PYTHON) -m pip --version >/dev/null 2>&1; then exit; fi; \
	for python in python3.11 python3 python; do if is_311 $$python; then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "make: Python 3.11 is needed, and neither python3.11 nor python3 is it: install it, or put it in PATH" >&2; exit 1; fi; \
	echo "Setting up .venv with $$($$found --version), once: a few minutes, most of it the download of torch"; \
	$$found -m venv --clear .venv || { echo "make: $$found cannot make .venv (Debian and Ubuntu: apt install python3.11-venv)" >&2; exit 1; }
	@$(PYTHON) -m pip install --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@$(PYTHON) -m pip install --disable-pip-version-check $(TORCH)
	@$(PYTHON) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@$(PYTHON) -m pip check
	@touch $@

$(POLICY)/.ready: requirements-policy.lock | $(READY)
	@echo "Setting up checkov in $(POLICY), once: a minute"
	@$(PYTHON) -m venv --clear $(POLICY)/venv
	@$(POLICY)/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --require-hashes --requirement requirements-policy.lock
	@touch $@

$(AUDIT)/.ready: requirements-audit.lock | $(READY)
	@echo "Setting up pip-audit in $(AUDIT), once"
	@$(PYTHON) -m venv --clear $(AUDIT)/venv
	@$(AUDIT)/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --require-hashes --requirement requirements-audit.lock
	@touch $@

# TorchGeo's reader needs a Python that the others do not, and nearly nothing of what the whole of TorchGeo does.
$(READERS)/.ready: requirements-readers.lock tests/readers/torchgeo.lock | $(READY)
	@echo "Setting up the readers in $(READERS), once: a minute or two"
	@$(PYTHON) -m venv --clear $(READERS)/venv
	@$(READERS)/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --require-hashes --requirement requirements-readers.lock
	@$(READERS)/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile $(TORCH)
	@$(READERS)/venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --no-deps --ignore-requires-python --require-hashes \
		--requirement tests/readers/torchgeo.lock
	@touch $@
