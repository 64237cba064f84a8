# make demo: the whole workflow on embedded data.  make test: every test.  Everything else is `uv run snakemake …`.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := "$(UV)" run --locked --no-sync

.PHONY: setup demo plan test lint check fuzz faults audit format schema docs clean

# Compile bytecode here. Each job of the workflow is a process, and would compile torch and timm again if Python may not
# write beside them (measured: 9.3 s of CPU for `import timm`, 4.3 s compiled).
setup: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## install everything into .venv
	@"$(UV)" sync --locked --quiet --compile-bytecode

.uv/bin/uv: ## install uv into .uv if the machine has none
	@python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv

demo: setup ## run the embedded demo up to results/report.html, offline, in about eight minutes on two cores
	@$(RUN) snakemake --profile profiles/local
	@echo "Open results/report.html"

plan: setup ## print the expected time and storage of a study: make plan CONFIG=experiments/paper.yaml DATA=FOLDER GPUS=16
	@$(RUN) scripts/plan.py $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(DATA),--config data_root="$(DATA)") \
	  $(if $(GPUS),--gpus $(GPUS))

test: setup ## run all tests, including those on Slurm if it is installed; under 40 minutes on two cores with the demo (CI=true)
	@$(RUN) pytest --numprocesses auto --dist loadfile tests/unit tests/rules
	@$(RUN) pytest tests/workflow/test_demo.py
	@$(RUN) pytest --numprocesses auto --dist loadfile --ignore tests/workflow/test_demo.py tests/slurm tests/workflow
	@$(RUN) pytest tests/faults

lint: setup ## check lint, format and types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) snakefmt --check Snakefile workflow
	@$(RUN) ty check
	@$(RUN) lint-imports
	@$(RUN) deptry src scripts
	@! $(RUN) snakemake --lint 2>&1 | grep '^    \* ' | grep -v 'Mixed rules and functions' # helpers stand above their rules

check: lint ## run lint and unit tests in about a minute
	@$(RUN) pytest --quiet --numprocesses auto tests/unit

fuzz: setup ## decode mutated image files, and print how many were tried and survived: make fuzz COUNT=100000 SEED=0
	@$(RUN) python tests/fuzz_images.py $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

faults: setup ## kill, fill and damage tiny studies, and print how many faults were tried and survived: make faults COUNT=10 SEED=0
	@COUNT=$(or $(COUNT),10) SEED=$(or $(SEED),0) $(RUN) pytest --quiet tests/faults

audit: setup ## look every package of uv.lock up among the known vulnerabilities; needs the internet
	@"$(UV)" audit --locked

format: setup ## reformat the code
	@$(RUN) ruff check --fix . && $(RUN) ruff format . && $(RUN) snakefmt Snakefile workflow

schema: setup ## write workflow/schemas/config.schema.json, which editors read, from the models of the config
	@$(RUN) python -m shapebias.config > workflow/schemas/config.schema.json

docs: setup ## build the pages of docs/ into site/, offline; open site/index.html
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "Open site/index.html"

clean: ## remove results and caches, but not the installation
	rm -rf logs .snakemake .pytest_cache .ruff_cache site
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
