# The words a contributor types. Each target installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
SERVERS ?= embedded debian
VERSIONS := 14 16 17
SMOKE := tests/pgtap tests/test_torture.py tests/feed/test_crash.py \
  tests/deliver/test_delivery_crash.py

.PHONY: demo test test-all lint pytest smoke mutants torture failover scale bench curves recipes \
  docs pictures format clean

demo: .venv/demo
	$(BIN)/pgpublish demo $(ARGS)

test: lint pytest smoke

lint: .venv/dev
	$(BIN)/ruff format --check harness tests bench examples
	$(BIN)/ruff check harness tests bench examples
	$(BIN)/mypy

pytest: .venv/dev
	tests/install-servers
	set -e; brief=; for server in $(SERVERS); do \
	  timeout 1000 $(BIN)/pytest -n 3 --server=$$server $$brief; brief=--brief; \
	done

# The contracts, a crash and some seconds of torture on the versions that pytest has not.
smoke: .venv/dev
	tests/install-servers
	set -e; bins=$$(tests/install-versions .servers $(VERSIONS)); for bin in $$bins; do \
	  timeout 240 $(BIN)/pytest -n 2 --server=$$PWD/$$bin $(SMOKE); \
	done

# The whole suite on each version that is supported.
test-all: lint
	tests/install-servers
	set -e; bins=$$(tests/install-versions .servers $(VERSIONS)); \
	for server in $(SERVERS) $$(printf "$$PWD/%s " $$bins); do \
	  timeout 1800 $(BIN)/pytest -n 3 --server=$$server; \
	done

mutants: .venv/dev
	$(BIN)/python tests/mutants.py

torture: .venv/dev
	tests/install-servers
	$(BIN)/pytest -s --torture $(if $(HOURS),$$(($(HOURS) * 3600)),120) --seed $(or $(SEED),0) \
	  tests/test_torture.py

failover: .venv/dev
	tests/install-servers
	timeout 1800 $(BIN)/pytest -s --failovers 20 tests/deliver/test_failover.py

scale: .venv/dev
	tests/install-servers
	timeout 1800 $(BIN)/pytest -s --outages $(or $(OUTAGES),60) --seed $(or $(SEED),0) \
	  tests/deliver/test_scale_out.py

bench: .venv/dev
	$(BIN)/python -m bench $(ARGS)

curves: .venv/dev
	$(BIN)/python -m bench.curves $(ARGS)

# With a site built by Next, which takes minutes to install and build.
recipes: .venv/dev
	tests/install-servers
	timeout 900 $(BIN)/pytest --recipes tests/serve/test_recipes.py

docs: .venv/dev
	$(BIN)/python tests/doc_session.py README.md docs/*.md
	$(BIN)/python tests/test_docs.py
	$(BIN)/python tests/reference.py

pictures: .venv/dev
	$(BIN)/python tests/pictures.py 28

format: .venv/dev
	$(BIN)/ruff format harness tests bench examples
	$(BIN)/ruff check --fix harness tests bench examples

clean:
	rm -rf .venv dist bench/results .pytest_cache .mypy_cache .ruff_cache

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "pgpublish needs Python 3.11 or later: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv .venv \
	  || { echo "as root: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

.venv/demo: .venv/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

.venv/dev: .venv/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
