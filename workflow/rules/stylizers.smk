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
    threads: lambda wildcards: stylizer_threads(wildcards.stylizer) * max(1, stylizer_training(wildcards)["gpus"])
    resources:
        mem_mb=8000,
        runtime=1440,
        gpu=lambda wildcards: stylizer_training(wildcards)["gpus"],
    params:
        origins=lambda wildcards: flags({k: shard_range(*origin) for k, origin in training_origins(wildcards).items()}),
        flags=stylizer_training_flags,
        launcher=lambda wildcards: launcher(stylizer_training(wildcards)["gpus"]),
        # Not an output: Snakemake deletes those before a retry.
        checkpoint="results/checkpoints/stylizers/{stylizer}.pt",
        folder=lambda wildcards, output: os.path.dirname(output.decoder),
    shell:
        '{params.launcher} "$SCRIPTS"/train_stylizer.py {params.origins:q} {params.flags:q}'
        " --checkpoint {params.checkpoint:q} --out {params.folder:q} > {log:q} 2>&1"
