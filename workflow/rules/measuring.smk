# Observers × benchmarks → predictions → tables.

from shapebias.evaluation.benchmarks import KINDS
from shapebias.planning.network_costs import evaluation_seconds, is_listed, observer_entry


def run_folder(run):
    model, regime, seed = RUNS[run]
    return f"results/runs/{model}/{regime}/seed{seed}"


def observer_weights(wildcards):
    if wildcards.observer in RUNS:
        return f"{run_folder(wildcards.observer)}/model.safetensors"
    return weights_input(network_weights(config["observers"][wildcards.observer]))


def benchmark_images(names):
    entries = [config["benchmarks"][name] for name in names]
    packed = [checksums_of(entry["images"], "test") for entry in entries if "images" in entry]
    return packed + [
        input_path(folder) for folder in sorted({entry["folder"] for entry in entries if "folder" in entry})
    ]


def network_flags_of(wildcards):
    """Return flags for the network; the weights file of a run describes the rest."""
    if wildcards.observer in RUNS:
        model = config["models"][RUNS[wildcards.observer][0]]
        return flags({"timm": model["timm"], "weights": observer_weights(wildcards)})
    entry = config["observers"][wildcards.observer]
    network = {key: entry[key] for key in ("timm", "kwargs", "classes") if key in entry}
    return flags(network | {"weights": network_weights(entry)})


def images_path(name):
    entry = config["benchmarks"][name]
    return shard_range(entry["images"], "test") if "images" in entry else local_path(entry["folder"])


def benchmark_flags(wildcards, names):
    """Return flags for several benchmarks in one job, which loads the network once."""
    words = []
    for name in names:
        entry = config["benchmarks"][name]
        target = f"results/predictions/{name}/{wildcards.observer}"
        words += ["--images", images_path(name), "--benchmark", entry["kind"], "--out", f"{target}.parquet"]
        words += flags({"suppress": entry.get("suppress")})
        if KINDS[entry["kind"]].rule:
            words += ["--labels", entry.get("labels", "categories" if "images" in entry else "published")]
        if name not in MELANOMA:  # the toolbox's CSV holds categories only
            words += ["--decisions", f"{target}.csv"]
        if READ_OUT and entry["kind"] == "cue_conflict":
            table = f"{name}=results/read_out/{name}/{wildcards.observer}.csv"
            words += ["--read-out", table if name in READ_OUT else "-"]
        if PROTOCOLS and entry["kind"] == "cue_conflict":
            words += ["--protocols", f"{target}.protocols.parquet" if name in PROTOCOLS else "-"]
    return words


def evaluated_network(observer):
    """Return the name of a run's model or of an observer, whether it is trained here, and a factor for its time.

    A network without a listed size is assumed to be a ResNet-50. It gets a factor of 8; the largest networks of timm are
    as large as forty ResNet-50s.
    """
    name, trained = (RUNS[observer][0], True) if observer in RUNS else (observer, False)
    entry, _ = observer_entry(config, name, trained=trained)
    return name, trained, 1 if is_listed(entry) or ("show", name) in MEASUREMENTS.throughputs else 8


@within_partition("runtime")
def evaluate_minutes(wildcards, attempt):
    name, trained, factor = evaluated_network(wildcards.observer)
    return minutes(
        factor * evaluation_seconds(config, name, trained=trained, melanoma=False, measurements=MEASUREMENTS), attempt
    )


rule evaluate:
    """Evaluate one observer on all benchmarks but melanoma, and read shape and texture out of its stages. The network is
    loaded once. Results for the same network, images, settings and code are taken from the cache. Networks with the same
    input share prepared images, and read-outs of equal features.
    """
    input:
        weights=observer_weights,
        classes=lambda wildcards: config["observers"].get(wildcards.observer, {}).get("classes", []),
        labels=[entry["labels"] for entry in config["benchmarks"].values() if "labels" in entry],
        images=benchmark_images(BENCHMARKS),
    output:
        predictions=expand("results/predictions/{benchmark}/{{observer}}.parquet", benchmark=BENCHMARKS),
        decisions=expand("results/predictions/{benchmark}/{{observer}}.csv", benchmark=BENCHMARKS),
        read_out=expand("results/read_out/{benchmark}/{{observer}}.csv", benchmark=READ_OUT),
        protocols=expand("results/predictions/{benchmark}/{{observer}}.protocols.parquet", benchmark=PROTOCOLS),
    log:
        "logs/evaluate/{observer}.log",
    benchmark:
        "logs/benchmarks/evaluate/{observer}.tsv"
    wildcard_constraints:
        observer=one_of(OBSERVERS),
    conda:
        "../../envs/train.yaml"
    threads: config["evaluation"]["threads"] + config["evaluation"]["workers"]
    resources:
        mem_mb=memory(4000),
        runtime=evaluate_minutes,
        gpus=config["gpus"],
        gres=gres(config["gpus"]),
    params:
        network=network_flags_of,
        evaluation=flags(config["evaluation"] | {"max_rejected": config["max_rejected"]}),
        benchmarks=lambda wildcards: benchmark_flags(wildcards, BENCHMARKS),
    shell:
        'python "$SCRIPTS"/evaluate.py {params.network:q} --observer {wildcards.observer} {params.evaluation:q}'
        " {params.benchmarks:q} --reuse results/checkpoints/measured --shared results/checkpoints/shared > {log:q} 2>&1"


@within_partition("runtime")
def melanoma_minutes(wildcards, attempt):
    name, trained, factor = evaluated_network(wildcards.observer)
    return minutes(
        factor * evaluation_seconds(config, name, trained=trained, melanoma=True, measurements=MEASUREMENTS), attempt
    )


rule evaluate_melanoma:
    """Evaluate a run that was trained to recognize melanoma on the melanoma benchmarks."""
    input:
        weights=observer_weights,
        images=benchmark_images(MELANOMA),
    output:
        predictions=expand("results/predictions/{benchmark}/{{observer}}.parquet", benchmark=MELANOMA),
    log:
        "logs/evaluate_melanoma/{observer}.log",
    benchmark:
        "logs/benchmarks/evaluate_melanoma/{observer}.tsv"
    wildcard_constraints:
        observer=one_of(MELANOMA_RUNS),
    conda:
        "../../envs/train.yaml"
    threads: config["evaluation"]["threads"] + config["evaluation"]["workers"]
    resources:
        mem_mb=memory(4000),
        runtime=melanoma_minutes,
        gpus=config["gpus"],
        gres=gres(config["gpus"]),
    params:
        network=network_flags_of,
        evaluation=flags(config["evaluation"] | {"max_rejected": config["max_rejected"]}),
        benchmarks=lambda wildcards: benchmark_flags(wildcards, MELANOMA),
    shell:
        'python "$SCRIPTS"/evaluate.py {params.network:q} --observer {wildcards.observer} {params.evaluation:q}'
        " {params.benchmarks:q} --reuse results/checkpoints/measured --shared results/checkpoints/shared > {log:q} 2>&1"


def predictions_of(observer):
    benchmarks = MELANOMA if observer in MELANOMA_RUNS else BENCHMARKS
    return [f"results/predictions/{benchmark}/{observer}.parquet" for benchmark in benchmarks]


def measurements_of(observer):
    """Return all files that the tables need of a network."""
    paths = predictions_of(observer)
    if observer in OBSERVERS:
        paths += [f"results/read_out/{benchmark}/{observer}.csv" for benchmark in READ_OUT]
        paths += [f"results/predictions/{benchmark}/{observer}.protocols.parquet" for benchmark in PROTOCOLS]
    return paths + ([f"{run_folder(observer)}/run.json"] if observer in RUNS else [])


# What the tables and the report show.
SHOWN_OBSERVERS = finished(OBSERVERS, measurements_of)
SHOWN_MELANOMA_RUNS = finished(MELANOMA_RUNS, measurements_of)
SHOWN_RUNS = [name for name in RUNS if name in {*SHOWN_OBSERVERS, *SHOWN_MELANOMA_RUNS}]
SHOWN_SETS = finished(SETS, lambda name: [f"results/images/{name}/{table}.csv" for table in ("rejected", "manifest")])
if config["only_finished"] and not (SHOWN_OBSERVERS or SHOWN_MELANOMA_RUNS) and workflow.is_main_process:
    MISSING.append(
        "only_finished: results/ holds no evaluated network of this study; leave only_finished out to make them"
    )
    logger.warning(MISSING[-1])


def answering(benchmark):
    """Return the observers of a benchmark that the config names. One entry of decisions may hold many observers."""
    return [*SHOWN_OBSERVERS, *(name for name, entry in DECISIONS.items() if entry["benchmark"] == benchmark)]


ANSWERED_CONFLICTS = [name for name in CONFLICTS if answering(name)]
TABLES = ["benchmarks", "shape_bias", "shape_bias_by_category", "shape_bias_by_answer", "shape_bias_pooled"]
TABLES += ["shape_bias_differences", "shape_bias_differences_pooled", "cue_accuracy", "top_k", "confusion"]
TABLES += ["classification_report", "accuracy", "accuracy_differences", "accuracy_by_condition", "error_consistency"]
TABLES += ["atlas", "atlas_differences"] if PUBLISHED_OBSERVERS else []
TABLES += ["error_consistency_pooled", "human_likeness", "reliance", "configural_shape", "refined_bias", "read_out"]
TABLES += ["critical_band", "protocols", "protocol_pairs", "frequency_bias", "laion_c", "reliance_pairs", "undefined"]
TABLES += ["runs", "rejected", *(["melanoma"] if MELANOMA else []), *(f"answers.{name}" for name in ANSWERED_CONFLICTS)]


def melanoma_flags():
    """Return flags for the melanoma benchmarks and their observers. The baseline is the first of their regimes that starts
    from ImageNet weights.
    """
    if not MELANOMA:
        return []
    baselines = [name for name in melanoma_regimes(config) if config["regimes"][name]["init"] == "pretrained"]
    options = {"melanoma_benchmarks": MELANOMA, "melanoma_observers": SHOWN_MELANOMA_RUNS}
    return flags(options | {"melanoma_baseline": next(iter(baselines), None)})


def decision_flags():
    """Return flags for recorded decisions and their pools."""
    words = []
    for entry in DECISIONS.values():
        words += ["--decisions", f"{entry['benchmark']}={local_path(entry['decisions'])}"]
        words += [f"{name}={pattern}" for name, pattern in entry.get("pool", {}).items()]
    return words


rule tables:
    """Compute hits, bias, accuracy and their intervals from predictions and decisions."""
    input:
        predictions=[path for name in [*SHOWN_OBSERVERS, *SHOWN_MELANOMA_RUNS] for path in predictions_of(name)],
        runs=[f"{run_folder(name)}/run.json" for name in SHOWN_RUNS],
        read_out=expand("results/read_out/{benchmark}/{observer}.csv", benchmark=READ_OUT, observer=SHOWN_OBSERVERS),
        protocols=expand(
            "results/predictions/{benchmark}/{observer}.protocols.parquet",
            benchmark=PROTOCOLS,
            observer=SHOWN_OBSERVERS,
        ),
        rejected=[f"results/images/{name}/rejected.csv" for name in SHOWN_SETS],
        decisions=[input_path(entry["decisions"]) for entry in DECISIONS.values()],
        published=[
            folder if folder.startswith("results/") else existing_path(folder)
            for folder in PUBLISHED_OBSERVERS.values()
        ],
        code=code("src/shapebias/commands/tables.py", "src/shapebias/tables/*.py", "src/shapebias/metrics/*.py"),
    output:
        report(
            expand("results/tables/{table}.csv", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
    log:
        "logs/tables.log",
    benchmark:
        "logs/benchmarks/tables.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=time_limit(30),
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        benchmarks=BENCHMARKS,
        kinds=[f"{name}={entry['kind']}" for name, entry in config["benchmarks"].items()],
        observers=SHOWN_OBSERVERS,
        melanoma=melanoma_flags(),
        read_out=lambda wildcards, input: flags({"read_out": list(input.read_out) or None}),
        protocols=lambda wildcards, input: flags({"protocols": list(input.protocols) or None}),
        sets=SHOWN_SETS,
        decisions=lambda wildcards: decision_flags(),  # a function, since a pattern may hold {…}
        published=flags({"published": [f"{name}={path}" for name, path in PUBLISHED_OBSERVERS.items()] or None}),
    shell:
        'python "$SCRIPTS"/tables.py --predictions results/predictions --benchmarks {params.benchmarks:q}'
        " --kinds {params.kinds:q} --observers {params.observers:q} {params.melanoma:q} {params.read_out:q}"
        " {params.protocols:q} --runs results/runs --images results/images --sets {params.sets:q} {params.decisions:q}"
        " {params.published:q} --out {params.folder:q} > {log:q} 2>&1"
