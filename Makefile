# make demo: the whole workflow on embedded data.  make test: every test.  Everything else is `uv run snakemake …`.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
UV_RUN := "$(UV)" run --locked --no-sync

.PHONY: setup demo plan reproduce gpu-check test coverage lint check fuzz faults audit format schema docs clean

# Compile bytecode here. Each job of the workflow is a process, and would compile torch and timm again if Python may not
# write beside them (measured: 9.3 s of CPU for `import timm`, 4.3 s compiled).
setup: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## install everything into .venv
	@"$(UV)" sync --locked --quiet --compile-bytecode

.uv/bin/uv: ## install uv into .uv if the machine has none
	@python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv

demo: setup ## run the embedded demo up to results/report.html, offline, in about seven minutes on two cores
	@$(UV_RUN) snakemake --profile profiles/local
	@echo "Open results/report.html"

plan: setup ## print the expected time and storage of a study: make plan CONFIG=experiments/paper.yaml DATA=FOLDER GPUS=16 RATES=rates.json
	@$(UV_RUN) scripts/plan.py $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(DATA),--config data_root="$(DATA)") \
	  $(if $(GPUS),--gpus $(GPUS)) $(if $(RATES),--throughputs "$(RATES)")

gpu-check: setup ## check a GPU against the CPU and measure its speed (planned for eight minutes); DEVICE=cpu: the same code without a GPU
	@$(UV_RUN) benchmarks/gpu_check.py --device $(or $(DEVICE),cuda)

reproduce: setup ## train a finished run again and compare every byte: make reproduce RUN=results/runs/MODEL/REGIME/seed0
	@$(UV_RUN) scripts/reproduce.py $(if $(RUN),"$(RUN)")

# Without compiled bytecode, each process that runs tests compiles all tests and the library again.
test coverage check: export PYTHONDONTWRITEBYTECODE :=

# The files with the longest studies start first, and the many short tests fill the time until the last of them ends.
# The demo runs alone: it uses all cores itself, and is compared with the time that was planned for it.
define RUN_TESTS
@$(UV_RUN) $(PYTEST) --numprocesses auto --dist loadfile --no-loadscope-reorder --ignore tests/workflow/test_demo.py \
  tests/slurm tests/faults tests/workflow tests/rules tests/unit
@$(UV_RUN) $(PYTEST) tests/workflow/test_demo.py
endef

test: PYTEST := pytest
test: setup ## run all tests, including those on Slurm if it is installed; about 25 minutes on two cores with the demo (CI=true)
	$(RUN_TESTS)

# The report's total counts lines and branches together, so the share of branches is checked on its own.
BRANCHES = import json, sys; share = json.load(sys.stdin)["totals"]["percent_branches_covered"]; \
  print(f"branches: {share:.1f} %; at least 95 % are wanted"); sys.exit(share < 95)

coverage: export COVERAGE_FILE := $(CURDIR)/.coverage-data/data
coverage: PYTEST := coverage run -m pytest
coverage: setup ## run all tests, and print the lines and branches that none reaches; fails below 95 %
	@rm -rf .coverage-data && mkdir .coverage-data
	$(RUN_TESTS)
	@$(UV_RUN) coverage combine --quiet
	@$(UV_RUN) coverage report --show-missing --fail-under=95
	@$(UV_RUN) coverage json --quiet -o - | $(UV_RUN) python -c '$(BRANCHES)'

lint: setup ## check lint, format and types
	@$(UV_RUN) ruff check .
	@$(UV_RUN) ruff format --check .
	@$(UV_RUN) snakefmt --check Snakefile workflow
	@$(UV_RUN) ty check
	@$(UV_RUN) lint-imports
	@$(UV_RUN) deptry src scripts
	@! $(UV_RUN) snakemake --lint 2>&1 | grep '^    \* ' | grep -v 'Mixed rules and functions' # helpers stand above their rules

check: lint ## run lint and unit tests in about a minute
	@$(UV_RUN) pytest --quiet --numprocesses auto tests/unit

fuzz: setup ## decode mutated image files, and print how many were tried and survived: make fuzz COUNT=100000 SEED=0
	@$(UV_RUN) python tests/fuzz_images.py $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

faults: setup ## kill, fill and damage tiny studies, and print how many faults were tried and survived: make faults COUNT=10 SEED=0
	@COUNT=$(or $(COUNT),10) SEED=$(or $(SEED),0) $(UV_RUN) pytest --quiet tests/faults

audit: setup ## look every package of uv.lock up among the known vulnerabilities; needs the internet
	@"$(UV)" audit --locked

format: setup ## reformat the code
	@$(UV_RUN) ruff check --fix . && $(UV_RUN) ruff format . && $(UV_RUN) snakefmt Snakefile workflow

schema: setup ## write workflow/schemas/config.schema.json, which editors read, from the models of the config
	@$(UV_RUN) python -m shapebias.config > workflow/schemas/config.schema.json

docs: setup ## build the pages of docs/ into site/, offline; open site/index.html
	@NO_MKDOCS_2_WARNING=1 $(UV_RUN) mkdocs build --strict --quiet
	@echo "Open site/index.html"

clean: ## remove results and caches, but not the installation
	rm -rf logs .snakemake .pytest_cache .ruff_cache .coverage-data site
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
