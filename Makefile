# Everything happens in `.venv`, made with the Python named by PYTHON (else with the first one found that is new enough).
#
#   make demo       run the quickstart notebook from nothing, and keep it with its outputs
#   make test       run every test that this machine can run, WORKERS=2 at a time; says what it left out
#   make oldest     run the fast tests, and a terminal, with the oldest versions of what is needed (IPython 8)
#   make lint       ruff, mypy, import-linter
#   make images     make the images that the tests with Docker run, where they are missing or outdated
#   make bench      run the benchmarks
#   make campaign   run the tests again and again, in other orders and on more examples (ROUNDS=5); with CORPUS=FOLDER,
#                   edit the files of all projects in that folder before
#   make clean      remove what these targets made

VENV = .venv
BIN = $(VENV)/bin
ROUNDS = 5
CORPUS =
WORKERS = 2
PYTEST_ARGUMENTS =

.PHONY: help demo test oldest lint images bench campaign clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/installed-test: pyproject.toml scripts/make_environment.sh
	@PYTHON='$(PYTHON)' sh scripts/make_environment.sh $(VENV) test
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed-test
	@PYTHON='$(PYTHON)' sh scripts/make_environment.sh $(VENV) test,lint
	@touch $@

demo: $(VENV)/installed-test
	@$(BIN)/python scripts/demo.py

# In the order of the files: the many fast ones come last, and keep all workers busy to the end.
test: $(VENV)/installed-test
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGUMENTS)

oldest: $(VENV)/installed-test
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/oldest
	@$(BIN)/uv pip install --quiet --python build/oldest/bin/python --resolution lowest-direct --editable '.[test]'
	@build/oldest/bin/python -c 'import IPython, sys; print("IPython", IPython.__version__, "on Python", sys.version.split()[0])'
	@build/oldest/bin/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --durations=3 --hypothesis-profile=few tests/unit tests/surfaces/test_loading.py \
		tests/surfaces/test_quickstart.py -k 'not jupyterlab and not failing'

lint: $(VENV)/installed-lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy astro_magic scripts tests $(wildcard benchmarks)
	$(BIN)/lint-imports --no-cache

images: $(VENV)/installed-test
	@$(BIN)/python -m tests.docker.images

bench: $(VENV)/installed-test
	@$(BIN)/python scripts/bench.py

campaign: $(VENV)/installed-test
	@if [ -n '$(CORPUS)' ]; then $(BIN)/python scripts/corpus.py '$(CORPUS)'; fi
	@$(BIN)/python scripts/campaign.py --rounds $(ROUNDS)

clean:
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find astro_magic tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
