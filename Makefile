# One command each. `make demo` and `make test` make the environment themselves.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
CONFIG ?= conf/prod_discovery.yml
REQUIREMENTS := deploy/requirements
PACKAGES := conf features models expectations publish jobs deploy benchmarks

export PATH := $(BIN):$(PATH)
export PYSPARK_PYTHON := $(BIN)/python
export PYSPARK_DRIVER_PYTHON := $(BIN)/python
export SPARK_CONF_DIR := $(CURDIR)/conf
export OPENBLAS_NUM_THREADS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false

TESTS := test-rest test-chain test-faults test-servers test-e2e test-publish test-jobs test-dags test-remote
SERVERS := tests/jobs/cli tests/jobs/inspector tests/jobs/exposures tests/deploy tests/benchmarks/test_crash.py tests/benchmarks/test_serve_logged.py tests/benchmarks/test_large_world.py
CHAIN := $(patsubst %,tests/e2e/test_%.py,chain experiment drift killed_run)
JOBS := tests/jobs tests/benchmarks
LANES ?= 5
PYTEST_FLAGS ?=
SPARK := .venv/.ready .venv/spark-classes.jsa

.PHONY: help env demo month up down test $(TESTS) test-cluster check format bench archive environment pins reference dashboards proto clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(SPARK) .venv-airflow/.ready ## .venv for the job and .venv-airflow for Airflow, from pinned and hashed files

.venv/.ready: $(REQUIREMENTS)/bootstrap.txt $(REQUIREMENTS)/dev.txt setup.cfg pyproject.toml
	@$(PYTHON) deploy/prerequisites.py
	@echo "making .venv (a minute, about 2 GB) …" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(REQUIREMENTS)/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(PACKAGES) # where Python may not write bytecode, each start would compile anew
	-@$(BIN)/python -m deploy.mlflow_store
	@touch $@

# Without it everything works, and Spark starts seconds later.
.venv/spark-classes.jsa: .venv/.ready deploy/class_archive.py deploy/class_archive_job.py conf/spark-env.sh
	@echo "keeping Spark's classes for quick starts (half a minute, 200 MB) …" >&2
	-@$(BIN)/python -m deploy.class_archive

.venv-airflow/.ready: .venv/.ready $(REQUIREMENTS)/airflow.txt
	@echo "making .venv-airflow …" >&2
	@test -x .venv-airflow/bin/python || $(PYTHON) -m venv .venv-airflow
	@$(BIN)/uv pip sync --quiet --python .venv-airflow/bin/python --require-hashes $(REQUIREMENTS)/airflow.txt
	@touch $@

demo: $(SPARK) ## the whole chain on a generated world: real Kafka, Redis and Spark
	@exec $(BIN)/python -m deploy.demo

month: $(SPARK) ## four weeks of experiments on a generated world whose users answer their lists
	@exec $(BIN)/python -m deploy.month

up: $(SPARK) ## start broker, Redis and the loader of CONFIG, and leave them running
	@exec $(BIN)/python -m deploy.service up --config $(CONFIG)

down: ## stop what `make up` started
	@test ! -x $(BIN)/python || exec $(BIN)/python -m deploy.service down

test: ## every test, on the real broker and the real Redis; LANES=1 runs one kind after another, for small machines
	@$(MAKE) --no-print-directory --keep-going --jobs $(LANES) $(TESTS)
	@echo "make test: all tests passed"

# Lanes side by side, the longest first, each as soon as what it needs is there; a line of output begins with its lane.
# faults, publish and servers mostly wait.
test-%: SHELL := bash
lane = @set -o pipefail; $(1) 2>&1 | (trap '' INT; exec sed -u 's/^/$(@:test-%=%)\t/')

test-faults: .venv/.ready
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/publish/faults)

test-publish: .venv/.ready
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/publish --ignore tests/publish/faults)

test-chain: $(SPARK)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) $(CHAIN))

test-e2e: $(SPARK)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/e2e $(patsubst %,--ignore %,$(CHAIN)))

test-servers: $(SPARK)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) $(SERVERS))

test-rest: $(SPARK)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) $(patsubst %,--ignore %,tests/publish tests/e2e tests/cluster $(SERVERS) $(JOBS)))

test-jobs: $(SPARK)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) $(JOBS) $(patsubst %,--ignore %,$(SERVERS)))

test-remote: env
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/cluster $(patsubst %,--ignore tests/cluster/%,test_job.py test_lost_node.py test_standalone_whole.py object_store))
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/cluster/object_store --ignore tests/cluster/object_store/test_job.py)

test-cluster: env ## tests on a real HDFS, YARN, S3 and Spark standalone; `make test` leaves out what takes minutes on two cores
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/cluster --ignore tests/cluster/object_store)
	$(call lane,$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/cluster/object_store)

test-dags: $(SPARK) .venv-airflow/.ready
	$(call lane,.venv-airflow/bin/python -m pytest $(PYTEST_FLAGS) -c tests/dags/pytest.ini tests/dags)

check: .venv/.ready ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ready ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(SPARK) ## the pipeline at three sizes
	$(BIN)/python -m benchmarks.pipeline

archive: .venv/.ready ## the packages as one zip for spark-submit --py-files
	@$(BIN)/python -m deploy.archive

environment: .venv/.ready ## the job's Python packages as one archive for spark-submit --archives (half a minute, 300 MB)
	@$(BIN)/python -m deploy.environment_archive

pins: .venv/.ready ## compile the requirement files anew
	cd $(REQUIREMENTS) && for name in bootstrap job dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url $$name.in -o $$name.txt; done
	cd $(REQUIREMENTS) && $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --override airflow-overrides.txt airflow.in -o airflow.txt

reference: .venv/.ready ## docs/config.md, of the docstrings in conf/, docs/metrics.md, and the statistics in docs/drift.md
	$(BIN)/python -m conf.reference > docs/config.md.new && mv docs/config.md.new docs/config.md
	$(BIN)/python -m jobs.export.reference > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md
	$(BIN)/python -m expectations.drift.reference < docs/drift.md > docs/drift.md.new && mv docs/drift.md.new docs/drift.md

dashboards: .venv/.ready ## Grafana's dashboards as JSON, of the table in deploy/monitoring/
	$(BIN)/python -m deploy.monitoring.dashboards

proto: .venv/.ready ## generate the protobuf code anew
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. publish/lists.proto publish/exposure.proto

clean: down ## stop what runs and remove both environments; the work folder stays
	rm -rf .venv .venv-airflow dist
