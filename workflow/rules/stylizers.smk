# A decoder of our own for AdaIN, where a stylizer of the config trains one.


rule train_stylizer:
    """Train an AdaIN decoder for an encoder."""
    input:
        images=lambda wildcards: [
            s for name, split in training_origins(wildcards).values() for s in shards(name, split)
        ],
        encoder=stylizer_encoder,
    output:
        encoder="results/stylizers/{stylizer}/encoder.safetensors",
        decoder="results/stylizers/{stylizer}/decoder.safetensors",
        history="results/stylizers/{stylizer}/history.csv",
        sheet="results/stylizers/{stylizer}/sheet.png",
    log:
        "logs/train_stylizer/{stylizer}.log",
    benchmark:
        "logs/benchmarks/train_stylizer/{stylizer}.tsv"
    conda:
        "../../envs/stylize.yaml"
    threads: lambda wildcards: stylizer_threads(wildcards.stylizer) * stylizer_ranks(wildcards)
    resources:
        mem_mb=stylizer_memory,
        runtime=a_day,
        gpus=lambda wildcards: stylizer_training(wildcards)["gpus"],
        gres=lambda wildcards: gres(stylizer_training(wildcards)["gpus"]),
        mpi=lambda wildcards: "srun" if stylizer_ranks(wildcards) > 1 else None,
        nodes=1,
        tasks_per_node=lambda wildcards: tasks_per_node(stylizer_ranks(wildcards), 1),
        tasks_per_gpu=0,
        cpus_per_task=lambda wildcards: stylizer_threads(wildcards.stylizer),
        ranks=stylizer_ranks,
    params:
        origins=lambda wildcards: flags({k: shard_range(*origin) for k, origin in training_origins(wildcards).items()}),
        flags=stylizer_training_flags,
        # Not an output: Snakemake deletes those before a retry.
        checkpoint="results/checkpoints/stylizers/{stylizer}.pt",
        folder=lambda wildcards, output: os.path.dirname(output.decoder),
    shell:
        "launch {resources.ranks} {resources.nodes} {resources.cpus_per_task}"
        ' "$SCRIPTS"/train_stylizer.py {params.origins:q} {params.flags:q}'
        " --checkpoint {params.checkpoint:q} $STAGING --out {params.folder:q} > {log:q} 2>&1"
