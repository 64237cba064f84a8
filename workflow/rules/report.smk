# Figures and the report: cheap, and made anew when their code or looks change.

FIGURES = ["accuracy", "training_curves"]
FIGURES += [f"{kind}.{name}" for name in CONFLICTS for kind in ("shape_bias", "shape_bias_by_category")]
FIGURES += [f"{kind}.{name}" for name in MELANOMA for kind in ("melanoma", "melanoma_confusion")]
# A photograph beside its stylized kin first, then all other sets.
SHOWN = dict.fromkeys(entry["content"] for entry in config["stylized"].values())
SHOWN |= dict.fromkeys([*config["stylized"], *config["sources"]])
SHEETS = [f"results/figures/contact_sheet.{name}.png" for name in SHOWN]
if PACKED:
    SHEETS.append("results/figures/rejected.png")


rule figures:
    """Draw every figure from the tables."""
    input:
        tables=rules.tables.output,
        histories=[f"results/runs/{model}/{regime}/seed{seed}/history.csv" for model, regime, seed in RUNS.values()],
        people=PEOPLE,
        code=code(
            "scripts/figures.py",
            *(f"src/shapebias/{m}.py" for m in ("figures", "melanoma_figures", "figure_style", "forest", "summaries")),
        ),
    output:
        expand("results/figures/{figure}.{kind}", figure=FIGURES, kind=["png", "svg"]),
    log:
        "logs/figures.log",
    benchmark:
        "logs/benchmarks/figures.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        benchmarks=CONFLICTS,
        melanoma=["--melanoma", *MELANOMA] if MELANOMA else [],
        looks=flags(config["figures"]),
    shell:
        'python "$SCRIPTS"/figures.py --tables {params.tables:q} --runs results/runs --people {input.people:q}'
        " --out {params.folder:q} --benchmarks {params.benchmarks:q} {params.melanoma:q} {params.looks:q} > {log:q} 2>&1"


rule settings:
    """Keep the config as it was used, defaults included, for the report."""
    output:
        "results/config.json",
    log:
        "logs/settings.log",
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        text=json.dumps(config, indent=2),
    shell:
        "printf '%s\\n' {params.text:q} > {output:q} 2> {log:q}"


rule report:
    """Write the report: one file that opens anywhere, offline."""
    input:
        tables=rules.tables.output,
        figures=rules.figures.output,
        sheets=SHEETS,
        manifests=[f"results/images/{name}/manifest.csv" for name in SETS],
        config=rules.settings.output,
        people=PEOPLE,
        code=code(
            "scripts/report.py",
            "src/shapebias/report.py",
            "src/shapebias/findings.py",
            "src/shapebias/templates/report.html.j2",
            "src/shapebias/templates/report.css",
        ),
    output:
        "results/report.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=config["title"],
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        figures=lambda wildcards, input: os.path.dirname(input.figures[0]),
    shell:
        'python "$SCRIPTS"/report.py --title {params.title:q} --tables {params.tables:q} --figures {params.figures:q}'
        " --runs results/runs --config {input.config:q} --people {input.people:q}"
        " --contact-sheets {input.sheets:q} --out {output:q} > {log:q} 2>&1"


rule track:
    """Record the final tables and figures at W&B; the receipt says what arrived."""
    input:
        tables=rules.tables.output,
        figures=[path for path in rules.figures.output if path.endswith(".png")],
        config=rules.settings.output,
    output:
        "results/wandb/report.json",
    log:
        "logs/track.log",
    localrule: True  # of two seconds, and online where compute nodes are not
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        title=config["title"],
    shell:
        'python "$SCRIPTS"/track.py --title {params.title:q} --tables {input.tables:q} --figures {input.figures:q}'
        " --config {input.config:q} $TRACKING --out {output:q} > {log:q} 2>&1"
