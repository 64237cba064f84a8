# Models × regimes × seeds.

RUN = "results/runs/{model}/{regime}/seed{seed}"


rule train:
    """Train one model in one regime with one seed."""
    input:
        shards=training_shards,
        init=initial_weights,
    output:
        model=f"{RUN}/model.safetensors",
        history=f"{RUN}/history.csv",
        run=f"{RUN}/run.json",
    log:
        "logs/train/{model}/{regime}/seed{seed}.log",
    benchmark:
        "logs/benchmarks/train/{model}/{regime}/seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: train_cpus
    resources:
        mem_mb=lambda wildcards: 8000 * ranks_of(wildcards),
        runtime=1440,
        gpu=lambda wildcards: config["gpus"] * ranks_of(wildcards),
    params:
        train=lambda wildcards: set_shards(wildcards, "train"),
        val=lambda wildcards: set_shards(wildcards, "val"),
        init=lambda wildcards, input: ["--init", str(input.init)] if input.init else [],
        flags=network_flags,
        folder=lambda wildcards, output: os.path.dirname(output.model),
        # No output: Snakemake deletes outputs before a retry, which is to go on from here.
        checkpoints="results/checkpoints/{model}/{regime}/seed{seed}",
        launcher=lambda wildcards: launcher(ranks_of(wildcards)),
        device="cuda" if config["gpus"] else "auto",
    shell:
        '{params.launcher} "$SCRIPTS"/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}'
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --device {params.device} --cpus {threads} --checkpoints {params.checkpoints:q} $TRACKING"
        " --out {params.folder:q} > {log:q} 2>&1"
