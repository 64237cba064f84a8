# make demo: the whole workflow on embedded data.  make test: every test.  Everything else is `uv run snakemake …`.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --locked --no-sync

.PHONY: setup demo plan test lint check format schema clean

setup: $(UV) ## install everything into .venv
	@$(UV) sync --locked --quiet

.uv/bin/uv: ## a uv of the project's own, where the machine has none
	@python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv

demo: setup ## from nothing to results/report.html, offline, in ten to fifteen minutes on two cores
	@$(RUN) snakemake --profile profiles/local
	@echo "Open results/report.html"

plan: setup ## what a study would take, before it runs: make plan CONFIG=experiments/paper.yaml DATA=FOLDER GPUS=16
	@$(RUN) scripts/plan.py $(if $(CONFIG),--configfile "$(CONFIG)") $(if $(DATA),--config data_root="$(DATA)") \
	  $(if $(GPUS),--gpus $(GPUS))

test: setup ## all tests, those of the cluster where Slurm is installed; under 40 minutes on two cores with the demo (CI=true)
	@$(RUN) pytest --numprocesses auto --dist loadfile tests/unit tests/rules
	@$(RUN) pytest tests/workflow/test_demo.py
	@$(RUN) pytest --numprocesses auto --dist loadfile --ignore tests/workflow/test_demo.py tests/slurm tests/workflow

lint: setup ## lint, format and types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) snakefmt --check Snakefile workflow
	@$(RUN) ty check
	@$(RUN) snakemake --lint

check: lint ## lint and unit tests: about a minute, so that it is run often
	@$(RUN) pytest --quiet --numprocesses auto tests/unit

format: setup ## rewrite the code in its standard form
	@$(RUN) ruff check --fix . && $(RUN) ruff format . && $(RUN) snakefmt Snakefile workflow

schema: setup ## workflow/schemas/config.schema.json, which editors read, from the models of the config
	@$(RUN) python -m shapebias.config > workflow/schemas/config.schema.json

clean: ## remove what was made, not what was installed
	rm -rf results logs .snakemake .pytest_cache .ruff_cache
