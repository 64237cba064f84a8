# A decoder of our own for AdaIN, where a stylizer of the config trains one.


def weights_folder(stylizer):
    """Where a stylizer's encoder and decoder are: trained here, or fetched."""
    kind = "stylizers" if "training" in config["stylizers"][stylizer] else "downloads/weights"
    return f"results/{kind}/{stylizer}"


def stylizer_files(stylizer):
    """The weights that a job with this stylizer needs; ghiasi brings its own."""
    if stylizer == "ghiasi":
        return []
    if "training" in config["stylizers"][stylizer]:
        return [f"{weights_folder(stylizer)}/{part}.safetensors" for part in ("encoder", "decoder")]
    return [fetched(stylizer, part) for part in ("encoder", "decoder")]


def stylizer_flags(stylizer):
    if stylizer == "ghiasi":
        return ["--stylizer", "ghiasi"]
    entry = config["stylizers"][stylizer]
    chosen = {"weights": weights_folder(stylizer), "threads": entry["threads"], "workers": entry["workers"]}
    return ["--stylizer", "adain", *flags(chosen)]


def stylizer_threads(stylizer):
    entry = config["stylizers"].get(stylizer, {})
    return entry.get("threads", 1) + entry.get("workers", 0)


def stylizer_gpus(stylizer):
    return 0 if stylizer == "ghiasi" else config["gpus"]


def stylizer_training(wildcards):
    return config["stylizers"][wildcards.stylizer]["training"]


def training_origins(wildcards):
    """The content and the styles that a decoder is trained on: name → the set and its split."""
    recipe = stylizer_training(wildcards)
    return {
        "content": (recipe["content"], "train"),
        "styles": (recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train"),
    }


def stylizer_encoder(wildcards):
    """The encoder's file, if it has one: a random one is drawn by the training itself."""
    return (
        [] if config["stylizers"][wildcards.stylizer]["encoder"] == "random" else fetched(wildcards.stylizer, "encoder")
    )


def stylizer_ranks(wildcards):
    """Processes that train a decoder, one a GPU."""
    return max(1, stylizer_training(wildcards)["gpus"])


def stylizer_training_flags(wildcards):
    recipe, encoder = stylizer_training(wildcards), stylizer_encoder(wildcards)
    keys = ("steps", "batch_size", "resize", "size", "lr", "content_weight", "style_weight")
    width = {} if encoder else {"width": recipe["width"]}
    chosen = {key: recipe[key] for key in keys} | width | {"seed": config["data_seed"]}
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"encoder": encoder or "random"} | chosen | {key: entry[key] for key in ("threads", "workers")})


@within_partition("mem_mb")
def stylizer_memory(wildcards, attempt):
    """MB, for all ranks that train a decoder."""
    return attempt * 8000 * stylizer_ranks(wildcards)


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
