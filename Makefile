# `make run` sets everything up and runs the main job; `make test` sets everything up and tests it;
# `make check` is what CI runs. They need Python 3.11 or newer, git, make and a C compiler.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DATASET ?=

.PHONY: run test check format lock catalogues clean

run: .venv/run.stamp
	@mkdir -p "$(or $(DATASET),images)"
	@echo "Watching until Ctrl-C: add photos as $(or $(DATASET),images)/<username>/photo.jpg (IGSEARCH_DATASET in .env: another folder)."
	@echo "Search in another terminal: $(BIN)/igsearch search --query photo.jpg"
	@echo "Answer in chats too: set IGSEARCH_TELEGRAM_TOKEN or IGSEARCH_DISCORD_TOKEN in .env (docs/telegram.md, docs/discord.md)."
	$(BIN)/igsearch run $(if $(DATASET),--dataset "$(DATASET)")

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) test

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

db_init.sql: .venv/run.stamp core/storage/migrations/versions/*.py
	$(BIN)/igsearch init-db --sql > $@

# Brings answers/locales/*.po in line with the code; what is new is to be translated by hand.
catalogues: .venv/dev.stamp
	$(BIN)/pybabel --quiet extract -k say -k count:1,2 -k N_ --no-location --sort-output --width=120 \
		--project=igsearch --omit-header -o .venv/igsearch.pot answers bots
	for file in answers/locales/*.po; do $(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete \
		--omit-header --width=120 -i .venv/igsearch.pot -o $$file -l $$(basename $$file .po); done

# The lock files carry hashes and no registry address.
lock: .venv/dev.stamp
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --upgrade \
		pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --upgrade \
		pyproject.toml --group dev -o requirements-dev.lock

.venv/bin/python:
	"$(PYTHON)" -m venv .venv

.venv/run.stamp: .venv/bin/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	rm -rf .venv
