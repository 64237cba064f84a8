# Figures and the report: cheap, and repeated when their code or style changes.

from shapebias.config.regimes import describe_regimes
from shapebias.evaluation.benchmarks import KINDS
from shapebias.seals import SEAL_KEY, UNSEALED, seal

REGIMES = describe_regimes(config)


def has_people(benchmark):
    """Return whether decisions of people are among those on a benchmark."""
    return any("people" in entry.get("pool", {}) for name, entry in DECISIONS.items() if name in answering(benchmark))


def benchmarks_of(measure):
    """Return the answered benchmarks that report a measure."""
    return [
        name for name in BENCHMARKS if KINDS[config["benchmarks"][name]["kind"]].measures == measure and answering(name)
    ]


# Figures that this config always has data for: kind → its category in Snakemake's own report, where
# workflow/report/<kind>.rst is its caption. Others, such as likeness to people in decisions whose observers the config
# does not name, are drawn as well if there are data, but are no outputs.
CONFLICT_FIGURES = {
    "shape_bias_by_category": "Shape bias",
    "cue_accuracy": "Shape bias",
    "confusion": "Answers",
    "sample_predictions": "Answers",
}
PAIR_FIGURES = {"shape_bias_differences": "Shape bias", "error_consistency": "Likeness to people"}
MELANOMA_FIGURES = {"melanoma": "Melanoma", "melanoma_confusion": "Melanoma"}


def declared_figures():
    """Yield name, kind and category of the figures that are outputs."""
    for name in CONFLICTS:
        yield f"shape_bias.{name}", "shape_bias", "Shape bias"  # without an observer, it shows people's published bias
    for name in benchmarks_of("bias"):
        kinds = CONFLICT_FIGURES | (PAIR_FIGURES if len(answering(name)) > 1 else {})
        kinds |= {"top_k": "Shape bias"} if SHOWN_OBSERVERS else {}
        kinds |= {"read_out": "Inside the networks"} if SHOWN_OBSERVERS and name in READ_OUT else {}
        for kind, category in kinds.items():
            yield f"{kind}.{name}", kind, category
    for name in MELANOMA if SHOWN_MELANOMA_RUNS else []:
        for kind, category in MELANOMA_FIGURES.items():
            yield f"{kind}.{name}", kind, category
    accuracy = benchmarks_of("accuracy")
    if accuracy:
        yield "accuracy", "accuracy", "Accuracy"
    if any(KINDS[config["benchmarks"][name]["kind"]].conditions for name in accuracy):
        yield "accuracy_by_condition", "accuracy_by_condition", "Accuracy"
    if SHOWN_OBSERVERS and any(map(has_people, BENCHMARKS)):
        yield "human_likeness", "human_likeness", "Likeness to people"
    if PUBLISHED_OBSERVERS:
        yield "atlas", "atlas", "Likeness to people"
    if benchmarks_of("reliance"):
        yield "reliance", "reliance", "Reliance on cues"
    for name in benchmarks_of("critical_band"):
        yield f"critical_band.{name}", "critical_band", "Spatial frequencies"
    if SHOWN_RUNS:
        yield "training_curves", "training_curves", "Training"


FIGURES = {name: (kind, category) for name, kind, category in declared_figures()}
# Sets with a contact sheet: first contents and their stylized sets, then all others.
SHEET_SETS = dict.fromkeys(entry["content"] for entry in config["stylized"].values())
SHEET_SETS |= dict.fromkeys([*config["stylized"], *config["sources"]])
SHEETS = [f"results/figures/contact_sheet.{name}.png" for name in SHEET_SETS if name in SHOWN_SETS]
if PACKED and set(PACKED) <= set(SHOWN_SETS):
    SHEETS.append(rules.rejected_sheet.output[0])


def folder_of(paths, default):
    """Return the folder of the first path, or the default without paths: a study may have no figure."""
    return os.path.dirname(next(iter(paths), f"{default}/"))


def images_of_conflicts(option):
    """Return `--option NAME=PATH` for each cue-conflict benchmark; figures and report show some of its images."""
    return [word for name in ANSWERED_CONFLICTS for word in (option, f"{name}={images_path(name)}")]


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
    threads: 2
    resources:
        mem_mb=memory(3000),
        runtime=time_limit(30),
    params:
        folder=lambda wildcards, output: folder_of(output, "results/figures"),
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        benchmarks=CONFLICTS,
        melanoma=["--melanoma", *MELANOMA] if MELANOMA else [],
        atlas="--atlas" if PUBLISHED_OBSERVERS else "",
        samples=lambda wildcards: images_of_conflicts("--sample-images"),
        looks=flags(config["figures"]),
        declared=list(FIGURES),
        regimes=flags(
            {
                "regime_labels": [f"{name}={regime.label}" for name, regime in REGIMES.by_name.items()] or None,
                "compared": [REGIMES.baseline(REGIMES.treatment), REGIMES.treatment] if REGIMES.treatment else None,
            }
        ),
    shell:
        'python "$SCRIPTS"/figures.py --tables {params.tables:q} --runs results/runs --people {input.people:q}'
        " --out {params.folder:q} --benchmarks {params.benchmarks:q} {params.melanoma:q}"
        " {params.atlas} {params.samples:q} {params.looks:q} {params.regimes:q} --declared {params.declared:q}"
        " --workers {threads}"
        " > {log:q} 2>&1"


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
        # A function, since the title may hold {…}.
        text=lambda wildcards: seal(json.dumps(config | {SEAL_KEY: UNSEALED}, indent=2).encode() + b"\n").decode(),
    shell:
        "printf '%s' {params.text:q} > {output:q} 2> {log:q}"


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
        title=lambda wildcards: config["title"],  # a function, since a title may hold {…}
        tables=lambda wildcards, input: os.path.dirname(input.tables[0]),
        figures=lambda wildcards, input: folder_of(input.figures, "results/figures"),
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
        title=lambda wildcards: config["title"],
    shell:
        'python "$SCRIPTS"/track.py --title {params.title:q} --tables {input.tables:q} --figures {input.figures:q}'
        " --config {input.config:q} $TRACKING --out {output:q} > {log:q} 2>&1"
