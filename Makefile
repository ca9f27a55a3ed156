# Set-up happens by itself: each target below first brings .venv and the fonts up to what the lock files say.
# With nothing to do that costs a few file times; `make help` lists what can be asked for.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_NO_PROGRESS := 1

BASE_PYTHON := python3.11
VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
INSTALLED := $(VENV)/.installed
NPM_INSTALLED := node_modules/.package-lock.json
FONTS := printer_drivers/fonts
FONT_FILES := $(FONTS)/NotoSansMono-Regular.ttf $(FONTS)/NotoSansMono-Bold.ttf $(FONTS)/OFL.txt
PROGRAMS := $(VENV)/.programs
READY := $(INSTALLED) $(FONT_FILES) $(PROGRAMS)

# $(call debian,COMMAND,PACKAGES): when COMMAND fails, install PACKAGES, or say in one sentence what is missing.
define debian
if ! ( $(1) ) >/dev/null 2>&1; then
  if [[ "$$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "Missing here: $(2). Install them (on Debian: sudo apt-get install $(2)), then run make again." >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=600 -qq update
  apt-get -o DPkg::Lock::Timeout=600 -qq install -y --no-install-recommends $(2) >/dev/null
  hash -r
fi
endef

.PHONY: help demo test check round bench web lock

help: ## What can be asked for
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s%s\n", $$1, $$2}' Makefile

demo: $(READY) ## A made-up branch in the browser; ONCE=1 plays one day and ends
	@$(PYTHON) -m simulator demo $(if $(ONCE),--once)

test: $(READY) ## All tests
	@$(PYTHON) -m pytest -q --numprocesses 2 --dist loadfile

check: $(READY) ## Lint and types
	@$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy --strict

round: $(READY) ## One collecting round: DATA=folder [EXPECTED=file] [OUT=file] [ONLINE=1]
	@if [[ -z "$(DATA)" ]]; then
	  echo "Say which folder holds the round: make round DATA=folder [EXPECTED=file] [OUT=file] [ONLINE=1]" >&2
	  exit 2
	fi
	$(PYTHON) -m simulator round --data "$(DATA)" $(if $(EXPECTED),--expected "$(EXPECTED)") \
	  $(if $(OUT),--out "$(OUT)") $(if $(ONLINE),--online)

bench: $(READY) ## Measures speed and size
	@$(PYTHON) -m tests.bench

web: $(FONT_FILES) ## Only the files that npm brings

lock: $(INSTALLED) ## Lock files anew after a change of dependencies; UPGRADE=1 takes newer versions
	@compile() {
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) "$$@"
	}
	compile pyproject.toml --output-file requirements.lock
	compile pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	compile --no-annotate --output-file requirements-uv.lock - <<< uv
	npm install --package-lock-only --loglevel=error

# The environment is brought up to date, not made anew: only a broken or foreign interpreter is replaced. `sync` takes
# away whatever the lock no longer names, the project itself included, which is why that comes last.
$(INSTALLED): requirements-uv.lock requirements-dev.lock pyproject.toml
	@$(call debian,$(BASE_PYTHON) -m ensurepip --version,$(BASE_PYTHON) $(BASE_PYTHON)-venv)
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
	  $(BASE_PYTHON) -m venv --clear $(VENV)
	fi
	$(PYTHON) -m pip install --quiet --require-hashes --requirement requirements-uv.lock
	$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	touch $@

# What tests and the demo ask other programs: does the code scan, and a bus for the simulated Bluetooth.
$(PROGRAMS): | $(INSTALLED)
	@$(call debian,command -v zbarimg && command -v dbus-daemon,zbar-tools dbus)
	mkdir -p $(@D)
	touch $@

$(NPM_INSTALLED): package.json package-lock.json .npmrc
	@$(call debian,command -v npm,nodejs npm)
	npm ci --loglevel=error
	touch $@

$(FONT_FILES) &: $(NPM_INSTALLED)
	@mkdir -p $(FONTS)
	package=node_modules/@expo-google-fonts/noto-sans-mono
	cp $$package/400Regular/NotoSansMono_400Regular.ttf $(FONTS)/NotoSansMono-Regular.ttf
	cp $$package/700Bold/NotoSansMono_700Bold.ttf $(FONTS)/NotoSansMono-Bold.ttf
	cp $$package/LICENSE_FONT $(FONTS)/OFL.txt
