# Set-up happens by itself: each target below first brings .venv, fonts and web assets up to what the lock files say.
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
BABEL := $(PYTHON) -m babel.messages.frontend
INSTALLED := $(VENV)/.installed
NPM_INSTALLED := node_modules/.package-lock.json
FONTS := printer_drivers/fonts
FONT_FILES := $(FONTS)/NotoSansMono-Regular.ttf $(FONTS)/NotoSansMono-Bold.ttf $(FONTS)/OFL.txt
VENDOR := device/web/static/vendor
WEB_FILES := $(VENDOR)/htmx.min.js $(VENDOR)/qr/decode.js $(VENDOR)/be-vietnam-pro-latin-400-normal.woff2
PHRASES := device/web/locale/vi/LC_MESSAGES/ghithu
STUBS := $(VENV)/stubs/.installed
PROGRAMS := $(VENV)/.programs
READY := $(INSTALLED) $(FONT_FILES) $(WEB_FILES) $(PHRASES).mo $(PROGRAMS)

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

.PHONY: help demo test check round bench web phrases lock

help: ## What can be asked for
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s%s\n", $$1, $$2}' Makefile

demo: $(READY) ## A made-up branch in the browser; ONCE=1 plays one day and ends
	@$(PYTHON) -m simulator demo $(if $(ONCE),--once)

test: $(READY) ## All tests
	@$(PYTHON) -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: $(READY) $(STUBS) ## Lint and types
	@$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy --strict
	$(PYTHON) -m mypy --config-file device/sled/mypy.ini --custom-typeshed-dir $(dir $(STUBS)) device/sled
	node_modules/.bin/tsc --project tsconfig.json

round: $(READY) ## One collecting round: DATA=folder [EXPECTED=file] [OUT=file] [ONLINE=1]
	@if [[ -z "$(DATA)" ]]; then
	  echo "Say which folder holds the round: make round DATA=folder [EXPECTED=file] [OUT=file] [ONLINE=1]" >&2
	  exit 2
	fi
	$(PYTHON) -m simulator round --data "$(DATA)" $(if $(EXPECTED),--expected "$(EXPECTED)") \
	  $(if $(OUT),--out "$(OUT)") $(if $(ONLINE),--online)

bench: $(READY) ## Measures speed and size
	@$(PYTHON) -m tests.bench

web: $(FONT_FILES) $(WEB_FILES) ## Only the files that npm brings

phrases: $(INSTALLED) ## The catalogue of the screens' words anew after a change of the pages
	@words=$$(mktemp)
	trap 'rm -f "$$words"' EXIT
	$(BABEL) extract --mapping-file pyproject.toml --no-location --sort-output --output-file "$$words" device/web 2>/dev/null
	$(BABEL) update --domain ghithu --locale vi --input-file "$$words" --output-file $(PHRASES).po --width 118 \
	  --no-fuzzy-matching --ignore-obsolete 2>/dev/null
	sed -i '/^"POT-Creation-Date: \|^"PO-Revision-Date: \|^"Generated-By: /d' $(PHRASES).po
	$(MAKE) --no-print-directory $(PHRASES).mo

lock: $(INSTALLED) ## Lock files anew after a change of dependencies; UPGRADE=1 takes newer versions
	@compile() {
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) "$$@"
	}
	compile pyproject.toml --output-file requirements.lock
	compile pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	compile --no-annotate --output-file requirements-uv.lock - <<< uv
	compile --group stubs --output-file requirements-stubs.lock
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

# MicroPython's idea of the standard library would confuse the types of everything else: it lies apart.
$(STUBS): requirements-stubs.lock | $(INSTALLED)
	@rm -rf $(@D)
	$(UV) pip install --quiet --python $(PYTHON) --require-hashes --target $(@D) --requirement requirements-stubs.lock
	touch $@

# What tests and the demo ask other programs: does the code scan, a bus for the simulated Bluetooth, and a browser.
$(PROGRAMS): | $(INSTALLED)
	@$(call debian,command -v zbarimg && command -v dbus-daemon && command -v chromium,zbar-tools dbus chromium fonts-dejavu-core)
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

$(WEB_FILES) &: $(NPM_INSTALLED)
	@mkdir -p $(VENDOR)/qr
	cp node_modules/htmx.org/dist/htmx.min.js $(VENDOR)/
	cp node_modules/qr/index.js node_modules/qr/decode.js node_modules/qr/index.d.ts node_modules/qr/decode.d.ts $(VENDOR)/qr/
	cp node_modules/qr/LICENSE $(VENDOR)/qr/LICENSE.txt
	for script in latin vietnamese; do for weight in 400 700; do
	  cp node_modules/@fontsource/be-vietnam-pro/files/be-vietnam-pro-$$script-$$weight-normal.woff2 $(VENDOR)/
	done; done
	cp node_modules/htmx.org/LICENSE $(VENDOR)/htmx-LICENSE.txt
	cp node_modules/@fontsource/be-vietnam-pro/LICENSE $(VENDOR)/be-vietnam-pro-LICENSE.txt
	touch $(WEB_FILES)

# The words of the screens in the form that the standard library reads.
$(PHRASES).mo: $(PHRASES).po | $(INSTALLED)
	@$(BABEL) compile --domain ghithu --input-file $< --output-file $@ 2>/dev/null
