# Observers × benchmarks → predictions → tables.


rule evaluate:
    """Show every benchmark to one observer."""
    input:
        weights=observer_weights,
        classes=lambda wildcards: config["observers"].get(wildcards.observer, {}).get("classes", []),
        images=benchmark_images,
    output:
        predictions=expand("results/predictions/{benchmark}/{{observer}}.parquet", benchmark=config["benchmarks"]),
        decisions=expand("results/predictions/{benchmark}/{{observer}}.csv", benchmark=config["benchmarks"]),
    log:
        "logs/evaluate/{observer}.log",
    benchmark:
        "logs/benchmarks/evaluate/{observer}.tsv"
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
        benchmarks=benchmark_flags,
    shell:
        'python "$SCRIPTS"/evaluate.py {params.network:q} --observer {wildcards.observer} {params.evaluation:q}'
        " {params.benchmarks:q} > {log:q} 2>&1"


TABLES = ("shape_bias", "shape_bias_by_category", "cue_accuracy", "accuracy", "runs", "rejected")


rule tables:
    """Count: hits, bias, accuracy and their intervals, from predictions and decisions alone."""
    input:
        predictions=expand(
            "results/predictions/{benchmark}/{observer}.parquet",
            benchmark=config["benchmarks"],
            observer=[*RUNS, *NETWORKS],
        ),
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
        benchmarks=list(config["benchmarks"]),
        observers=[*RUNS, *NETWORKS],
        sets=SETS,
        decisions=decision_flags(),
    shell:
        'python "$SCRIPTS"/tables.py --predictions results/predictions --benchmarks {params.benchmarks:q}'
        " --observers {params.observers:q} --runs results/runs --images results/images --sets {params.sets:q}"
        " {params.decisions:q} --out {params.folder:q} > {log:q} 2>&1"
