# Each target works alone, on a fresh clone too: it sets up what is missing first.
# PATH holds .venv/bin because dvc.yaml's commands are `ratchet stage …`, for `dvc repro` and `ratchet run` alike.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-airflow setup-databases demo airflow airflow-stop test test-airflow-and-fast test-runs test-parts
.PHONY: check check-code check-tests check-some-tests bench gate-campaign hostile killings same-bits fortnight clients load mutants images lock clean
in_venv := PATH="$(CURDIR)/.venv/bin:$$PATH"
slow_tests := tests/surroundings tests/system
dag_tests := tests/dags
airflow_tests := tests/system/with_airflow
run_tests = $(wildcard tests/system/test_*.py)
all_part_tests = $(wildcard tests/surroundings) $(filter-out $(airflow_tests) %/__pycache__,$(patsubst %/,%,$(wildcard tests/system/*/)))
# Those that run after the whole runs, so that both take equally long.
late_part_tests = $(filter $(addprefix tests/system/,registry report runs samples scoring serving training),$(all_part_tests))
part_tests = $(filter-out $(late_part_tests),$(all_part_tests))
# So many that a check runs them in two parts that take equally long: in this one all that wait for processes.
some_tests := tests/scripts tests/launching tests/doctor tests/docker tests/export tests/runtime tests/evaluation tests/report tests/runs tests/gate
# What imports Airflow runs in Airflow's environment, and away from the Airflow that somebody may use here.
run_dag_tests = $(if $(wildcard $(dag_tests)),AIRFLOW_HOME=$(CURDIR)/.pytest_cache/airflow .venv-airflow/bin/python -m pytest $(dag_tests),:)
fast_tests = $(filter-out $(slow_tests) $(dag_tests) %/__pycache__,$(patsubst %/,%,$(wildcard tests/*/ tests/test_*.py)))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## set up what is missing (nothing the second time)
	@scripts/setup.sh

setup-airflow: setup ## set up Airflow's own environment too
	@scripts/setup_airflow.sh

setup-databases: ## install what the tests of databases need: JDBC drivers, PostgreSQL (no server is started)
	@scripts/setup_databases.sh

demo: setup ## retrain on the sample of Fashion-MNIST, judge and register the model
	@$(in_venv) ratchet run

airflow: setup-airflow ## start Airflow on this machine: make airflow PORT=8080; PAGES=1: MLflow and TensorBoard beside it
	@scripts/airflow.sh start $(if $(PORT),--port $(PORT)) $(if $(PAGES),--pages)

airflow-stop: ## stop it
	@scripts/airflow.sh stop

test: setup-airflow ## every test: budget 40 minutes on two quiet cores
	@scripts/setup_databases.sh || true # without it, they are skipped
	@$(MAKE) --no-print-directory --jobs=3 --keep-going test-airflow-and-fast test-runs test-parts

# In three parts side by side: a part of its own would leave the second core idle, and both whenever it waits for what it
# has started. Each says before each file which it is. The first is the longest, as one Airflow does one thing after the
# other, so it goes first wherever all want the processors.
test-airflow-and-fast: # the fast tests, the DAGs, and all that one real Airflow is asked
	@set -o pipefail; failed=0; \
	$(in_venv) python -u -m pytest $(fast_tests) | sed -u 's|^tests/|fast: &|' || failed=1; \
	$(run_dag_tests) | sed -u 's|^tests/|in Airflow: &|' || failed=1; \
	$(in_venv) python -u -m pytest $(wildcard $(airflow_tests)) | sed -u 's|^tests/|in Airflow: &|' || failed=1; \
	exit $$failed

test-runs: # whole runs and trainings, then some of the parts
	@set -o pipefail; failed=0; \
	$(in_venv) nice -n 5 python -u -m pytest $(run_tests) | sed -u 's|^tests/|runs: &|' || failed=1; \
	$(in_venv) nice -n 5 python -u -m pytest $(late_part_tests) | sed -u 's|^tests/|late parts: &|' || failed=1; \
	exit $$failed

test-parts: # small projects in odd places, and the parts of a run with the real libraries
	@set -o pipefail; $(in_venv) nice -n 5 python -u -m pytest $(part_tests) | sed -u 's|^tests/|parts: &|'

check: setup-airflow ## lint, format, types, import contracts and the fast tests but the long ones, budget 75 s on two quiet cores
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line check-tests check-some-tests check-code

check-code: # what reads the code, and the DAGs' tests
	@$(in_venv) ruff check .
	@$(in_venv) ruff format --check .
	@$(in_venv) mypy
	@$(in_venv) lint-imports
	@$(run_dag_tests) -q

check-some-tests:
	@$(in_venv) python -m pytest -q -m 'not long' --hypothesis-profile=check $(some_tests)

check-tests:
	@$(in_venv) python -m pytest -q -m 'not long' --hypothesis-profile=check $(filter-out $(some_tests),$(fast_tests))

images: ## build the CPU images and try each: slow, many GB (docs/docker.md)
	@scripts/images.sh

bench: setup ## every comparison in benchmarks/, each printing its ratio, or why it could not
	@$(in_venv) python benchmarks/run_all.py

gate-campaign: setup ## how often the gate's rules err, 2 000 runs a cell (docs/gate.md): RUNS=2000 ONLY=nights|years|limits|losses|time
	@$(in_venv) python benchmarks/gate.py $(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only $(ONLY))

hostile: setup ## 300 hostile recipes, each in a real `ratchet run` of at most 3 s: COUNT=300 SEED=0
	@$(in_venv) python -m tests.recipe.hostile --count $(or $(COUNT),300) --seed $(or $(SEED),0)

killings: setup ## SIGKILL of each process of a run at each stage, and the next try: STAGES="clean train" SAMPLE=digits_folders
	@$(in_venv) python -m tests.system.killings $(if $(STAGES),--stages $(STAGES)) $(if $(SAMPLE),--sample $(SAMPLE))

same-bits: setup ## digest tables: ranks, threads, kills, the shipped recipe, two hosts: ONLY="ranks kills" CONFIG=configs/…
	@$(in_venv) python -m tests.system.same_bits $(if $(ONLY),--only $(ONLY)) $(if $(CONFIG),--config $(CONFIG))

fortnight: setup ## fourteen nights of the main job that try to bring the champion down: PICTURE=docs/images/fortnight.svg
	@$(in_venv) python -m tests.system.fortnight $(if $(PICTURE),--picture $(PICTURE))

clients: setup ## one champion of each shipped problem, asked by every client that its users have (.venv-clients): ONLY="spam …" PROJECT=…
	@scripts/setup_clients.sh
	@$(in_venv) python -m tests.system.serving.clients $(if $(PROJECT),--project $(PROJECT)) $(if $(ONLY),--only $(ONLY))

load: setup ## clients that never rest while champions come, one is refused and workers are killed: FOR_S=300 CLIENTS=16 WORKERS=2
	@$(in_venv) python -m tests.system.serving.load $(if $(FOR_S),--for-s $(FOR_S)) $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(WORKERS),--workers $(WORKERS))

mutants: setup ## small faults in the pure cores, against the tests of their modules: COUNT=300 SEED=0 ONLY="gate/ splitting"
	@$(in_venv) python -m tests.mutants --count $(or $(COUNT),300) --seed $(or $(SEED),0) $(if $(ONLY),--only $(ONLY))

lock: ## rewrite requirements/*.txt from *.in; UPGRADE=1 moves versions
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove caches of the tools; data, models, runs and .venv stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -path ./.venv -prune -o -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +
