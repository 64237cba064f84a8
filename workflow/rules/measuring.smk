# Observers × benchmarks → predictions → tables.


rule evaluate:
    """Show every benchmark but melanoma to one observer."""
    input:
        weights=observer_weights,
        classes=lambda wildcards: config["observers"].get(wildcards.observer, {}).get("classes", []),
        images=benchmark_images(BENCHMARKS),
    output:
        predictions=expand("results/predictions/{benchmark}/{{observer}}.parquet", benchmark=BENCHMARKS),
        decisions=expand("results/predictions/{benchmark}/{{observer}}.csv", benchmark=BENCHMARKS),
    log:
        "logs/evaluate/{observer}.log",
    benchmark:
        "logs/benchmarks/evaluate/{observer}.tsv"
    wildcard_constraints:
        observer=one_of(OBSERVERS),
    conda:
        "../../envs/train.yaml"
    threads: config["evaluation"]["threads"]
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=config["gpus"],
    params:
        network=network_flags_of,
        evaluation=flags(config["evaluation"] | {"max_rejected": config["max_rejected"]}),
        benchmarks=lambda wildcards: benchmark_flags(wildcards, BENCHMARKS),
    shell:
        'python "$SCRIPTS"/evaluate.py {params.network:q} --observer {wildcards.observer} {params.evaluation:q}'
        " {params.benchmarks:q} > {log:q} 2>&1"


rule evaluate_melanoma:
    """Show the benchmarks of melanoma to a run that was trained to tell them."""
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
    threads: config["evaluation"]["threads"]
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=config["gpus"],
    params:
        network=network_flags_of,
        evaluation=flags(config["evaluation"] | {"max_rejected": config["max_rejected"]}),
        benchmarks=lambda wildcards: benchmark_flags(wildcards, MELANOMA),
    shell:
        'python "$SCRIPTS"/evaluate.py {params.network:q} --observer {wildcards.observer} {params.evaluation:q}'
        " {params.benchmarks:q} > {log:q} 2>&1"


TABLES = ["shape_bias", "shape_bias_by_category", "cue_accuracy", "accuracy", "runs", "rejected"]
if MELANOMA:
    TABLES.append("melanoma")


rule tables:
    """Count: hits, bias, accuracy and their intervals, from predictions and decisions alone."""
    input:
        predictions=[
            f"results/predictions/{benchmark}/{observer}.parquet"
            for benchmarks, observers in ((BENCHMARKS, OBSERVERS), (MELANOMA, MELANOMA_RUNS))
            for benchmark in benchmarks
            for observer in observers
        ],
        runs=[f"results/runs/{model}/{regime}/seed{seed}/run.json" for model, regime, seed in RUNS.values()],
        rejected=[f"results/images/{name}/rejected.csv" for name in SETS],
        decisions=[needed(entry["decisions"]) for entry in DECISIONS.values()],
    output:
        expand("results/tables/{table}.csv", table=TABLES),
    log:
        "logs/tables.log",
    benchmark:
        "logs/benchmarks/tables.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        benchmarks=BENCHMARKS,
        observers=OBSERVERS,
        melanoma=melanoma_flags(),
        sets=SETS,
        decisions=decision_flags(),
    shell:
        'python "$SCRIPTS"/tables.py --predictions results/predictions --benchmarks {params.benchmarks:q}'
        " --observers {params.observers:q} {params.melanoma:q} --runs results/runs --images results/images --sets {params.sets:q}"
        " {params.decisions:q} --out {params.folder:q} > {log:q} 2>&1"
