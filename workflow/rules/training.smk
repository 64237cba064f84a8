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
        # How it runs, not what comes out: as parameters, a change would train anew.
        ranks=ranks_of,
        workers=lambda wildcards: train_recipe(wildcards).get("workers", 0),
    params:
        train=lambda wildcards: set_shards(wildcards, "train"),
        val=lambda wildcards: set_shards(wildcards, "val"),
        init=lambda wildcards, input: ["--init", str(input.init)] if input.init else [],
        flags=network_flags,
        folder=lambda wildcards, output: os.path.dirname(output.model),
        # No output: Snakemake deletes outputs before a retry, which is to go on from here.
        checkpoints="results/checkpoints/{model}/{regime}/seed{seed}",
        device="cuda" if config["gpus"] else "auto",
    shell:
        "$([ {resources.ranks} = 1 ] && echo python || echo torchrun --standalone --nproc-per-node={resources.ranks})"
        ' "$SCRIPTS"/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}'
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --ranks {resources.ranks} --workers {resources.workers} --cpus {threads}"
        " --device {params.device} --checkpoints {params.checkpoints:q} $TRACKING"
        " --out {params.folder:q} > {log:q} 2>&1"
