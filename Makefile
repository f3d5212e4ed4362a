# `make run` sets everything up and runs the main job; `make test` sets everything up and tests it;
# `make check` is what CI runs. They need Python 3.11 to 3.13, git, make and a C compiler.

VENV ?= .venv
BIN := $(VENV)/bin
DATASET ?=

# The versions that the tests are run with, the newest first. For 3.14 there are wheels of all that needs them, but the
# tests have never been run with it: it is taken where it is `python3` and nothing else is found.
SUPPORTED := 3.13 3.12 3.11
# What is needed of a Python: to make a virtual environment (Debian: python3-venv), and to build pdqhash, of which there
# are no wheels (python3-dev).
WILL_DO := import ensurepip, venv, os, sys, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h");
# Prints those of them that are found. A command may be there and not run, as pyenv's of a version that is not chosen:
# all folders of PATH are looked through.
FIND_PYTHONS = set -f; IFS=:; for name in $(SUPPORTED:%=python%); do for folder in $$PATH; do \
	"$$folder/$$name" -c '$(WILL_DO) print(sys.executable)' 2>/dev/null && break; done; done; true
PYTHON ?= $(or $(shell { $(FIND_PYTHONS); } | head -n 1),python3)

.PHONY: run test check format lock catalogues pythons clean

run: $(VENV)/run.stamp
	@mkdir -p "$(or $(DATASET),images)"
	@echo "Watching until Ctrl-C: add photos as $(or $(DATASET),images)/<username>/photo.jpg (IGSEARCH_DATASET in .env: another folder)."
	@echo "Search in another terminal: $(BIN)/igsearch search --query photo.jpg"
	@echo "Answer in chats too: set IGSEARCH_TELEGRAM_TOKEN or IGSEARCH_DISCORD_TOKEN in .env (docs/telegram.md, docs/discord.md)."
	$(BIN)/igsearch run $(if $(DATASET),--dataset "$(DATASET)")

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 4 --dist worksteal

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) test

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

db_init.sql: $(VENV)/run.stamp core/storage/migrations/versions/*.py
	$(BIN)/igsearch init-db --sql > $@

# Brings answers/locales/*.po in line with the code; what is new is to be translated by hand.
catalogues: $(VENV)/dev.stamp
	$(BIN)/pybabel --quiet extract -k say -k count:1,2 -k N_ --no-location --sort-output --width=120 \
		--project=igsearch --omit-header -o $(VENV)/igsearch.pot answers bots
	for file in answers/locales/*.po; do $(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete \
		--omit-header --width=120 -i $(VENV)/igsearch.pot -o $$file -l $$(basename $$file .po); done

# The lock files carry hashes and no registry address.
lock: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --upgrade \
		pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --upgrade \
		pyproject.toml --group dev -o requirements-dev.lock

$(BIN)/python:
	@python="$(PYTHON)"; "$$python" -c '$(WILL_DO) sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$python is not Python 3.11 or newer with venv and Python.h" \
			"(on Debian: apt-get install python3-venv python3-dev). Name another: make PYTHON=/path/to/python3" >&2; \
		exit 1; }; \
	echo "$(VENV): $$("$$python" -V), $$python (the tests are run with $(SUPPORTED))"; \
	"$$python" -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The supported Pythons that are found, the newest first.
pythons:
	@$(FIND_PYTHONS)

clean:
	rm -rf .venv*
