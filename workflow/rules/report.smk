# Figures and the report: cheap, and repeated when their code or style changes.

from shapebias.config.regimes import describe_regimes

REGIMES = describe_regimes(config)

# Kind of figure → its category in Snakemake's own report; workflow/report/<kind>.rst is its caption.
CONFLICT_FIGURES = {
    "shape_bias": "Shape bias",
    "shape_bias_by_category": "Shape bias",
    "shape_bias_differences": "Shape bias",
    "cue_accuracy": "Shape bias",
    "top_k": "Shape bias",
    "confusion": "Answers",
    "sample_predictions": "Answers",
    "error_consistency": "Likeness to people",
}
STUDY_FIGURES = {
    "accuracy": "Accuracy",
    "accuracy_by_condition": "Accuracy",
    "human_likeness": "Likeness to people",
    "reliance": "Reliance on cues",
    "training_curves": "Training",
}
MELANOMA_FIGURES = {"melanoma": "Melanoma", "melanoma_confusion": "Melanoma"}
FIGURES = {name: (name, category) for name, category in STUDY_FIGURES.items()}
FIGURES |= {f"{kind}.{name}": (kind, category) for name in CONFLICTS for kind, category in CONFLICT_FIGURES.items()}
FIGURES |= {f"read_out.{name}": ("read_out", "Inside the networks") for name in READ_OUT}
FIGURES |= {f"{kind}.{name}": (kind, category) for name in MELANOMA for kind, category in MELANOMA_FIGURES.items()}
# Sets with a contact sheet: first contents and their stylized sets, then all others.
SHEET_SETS = dict.fromkeys(entry["content"] for entry in config["stylized"].values())
SHEET_SETS |= dict.fromkeys([*config["stylized"], *config["sources"]])
SHEETS = [f"results/figures/contact_sheet.{name}.png" for name in SHEET_SETS if name in SHOWN_SETS]
if PACKED and set(PACKED) <= set(SHOWN_SETS):
    SHEETS.append("results/figures/rejected.png")


def images_of_conflicts(option):
    """Return `--option NAME=PATH` for each cue-conflict benchmark; figures and report show some of its images."""
    return [word for name in CONFLICTS for word in (option, f"{name}={images_path(name)}")]


rule figures:
    """Draw every figure from the tables."""
    input:
        tables=rules.tables.output,
        images=benchmark_images(CONFLICTS),
        histories=[f"{run_folder(name)}/history.csv" for name in SHOWN_RUNS],
        people=PEOPLE,
        code=code("src/shapebias/commands/figures.py", "src/shapebias/figures/*.py", "src/shapebias/tables/*.py"),
    output:
        [
            report(f"results/figures/{name}.png", caption=f"../report/{kind}.rst", category=category)
            for name, (kind, category) in FIGURES.items()
        ],
        expand("results/figures/{figure}.{ending}", figure=FIGURES, ending=["svg", "pdf"]),
    log:
        "logs/figures.log",
    benchmark:
        "logs/benchmarks/figures.tsv"
    group:
        "report"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=time_limit(30),
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        benchmarks=CONFLICTS,
        melanoma=["--melanoma", *MELANOMA] if MELANOMA else [],
        samples=lambda wildcards: images_of_conflicts("--sample-images"),
        looks=flags(config["figures"]),
        regimes=flags(
            {
                "regime_labels": [f"{name}={regime.label}" for name, regime in REGIMES.by_name.items()] or None,
                "compared": [REGIMES.baseline(REGIMES.treatment), REGIMES.treatment] if REGIMES.treatment else None,
            }
        ),
    shell:
        'python "$SCRIPTS"/figures.py --tables {params.tables:q} --runs results/runs --people {input.people:q}'
        " --out {params.folder:q} --benchmarks {params.benchmarks:q} {params.melanoma:q}"
        " {params.samples:q} {params.looks:q} {params.regimes:q} > {log:q} 2>&1"


rule settings:
    """Write the config for the report, defaults included."""
    output:
        "results/config.json",
    log:
        "logs/settings.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=time_limit(5),
    params:
        text=json.dumps(config, indent=2),
    shell:
        "printf '%s\\n' {params.text:q} > {output:q} 2> {log:q}"


rule report:
    """Write the report: one file that opens in any browser, offline."""
    input:
        tables=rules.tables.output,
        figures=rules.figures.output,
        images=benchmark_images(CONFLICTS),
        sheets=SHEETS,
        manifests=[f"results/images/{name}/manifest.csv" for name in SHOWN_SETS],
        config=rules.settings.output,
        people=PEOPLE,
        code=code("src/shapebias/commands/report.py", "src/shapebias/report/*.py", "src/shapebias/report/templates/*"),
    output:
        "results/report.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    group:
        "report"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=time_limit(30),
    params:
        title=config["title"],
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        figures=lambda wildcards, input: os.path.dirname(input.figures[0]),
        images=lambda wildcards: images_of_conflicts("--conflict-images"),
    shell:
        'python "$SCRIPTS"/report.py --title {params.title:q} --tables {params.tables:q} --figures {params.figures:q}'
        " --runs results/runs --config {input.config:q} --people {input.people:q}"
        " --contact-sheets {input.sheets:q} {params.images:q} --out {output:q} > {log:q} 2>&1"


rule track:
    """Upload the final tables and figures to W&B; the output lists the uploaded files."""
    input:
        tables=rules.tables.output,
        figures=[path for path in rules.figures.output if path.endswith(".png")],
        config=rules.settings.output,
    output:
        "results/wandb/report.json",
    log:
        "logs/track.log",
    localrule: True  # takes two seconds and needs internet, which compute nodes lack
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=time_limit(10),
    params:
        title=config["title"],
    shell:
        'python "$SCRIPTS"/track.py --title {params.title:q} --tables {input.tables:q} --figures {input.figures:q}'
        " --config {input.config:q} $TRACKING --out {output:q} > {log:q} 2>&1"
