# Models × regimes × seeds.

RUN = "results/runs/{model}/{regime}/seed{seed}"


rule train:
    """Train one model in one regime with one seed."""
    input:
        images=training_images,
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
    threads: lambda wildcards: ranks_of(wildcards) * cpus_of(wildcards)
    resources:
        mem_mb=train_memory,
        runtime=train_minutes,
        gpus=lambda wildcards: config["gpus"] * ranks_of(wildcards),
        gres=lambda wildcards: gres(config["gpus"] * ranks_of(wildcards) // nodes_of(wildcards)),
        mpi=lambda wildcards: "srun" if ranks_of(wildcards) > 1 else None,
        nodes=nodes_of,
        tasks=lambda wildcards: tasks(ranks_of(wildcards), nodes_of(wildcards)),
        tasks_per_node=lambda wildcards: tasks_per_node(ranks_of(wildcards), nodes_of(wildcards)),
        tasks_per_gpu=0,
        cpus_per_task=cpus_of,
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
        "launch {resources.ranks} {resources.nodes} {resources.cpus_per_task}"
        ' "$SCRIPTS"/train.py --train {params.train:q} --val {params.val:q} {params.init:q} {params.flags:q}'
        " --model {wildcards.model} --regime {wildcards.regime} --seed {wildcards.seed}"
        " --ranks {resources.ranks} --workers {resources.workers} --cpus {resources.cpus_per_task}"
        " --device {params.device} --checkpoints {params.checkpoints:q} $TRACKING $STAGING"
        " --out {params.folder:q} > {log:q} 2>&1"
