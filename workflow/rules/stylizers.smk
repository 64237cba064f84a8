# Options of stylizers, and training of an AdaIN decoder for each one with a `training` section in the config.

from shapebias.stylize.gatys_settings import SETTINGS


def weights_folder(stylizer):
    """Return the folder of an AdaIN network's encoder and decoder, whether trained here or downloaded."""
    kind = "stylizers" if "training" in config["stylizers"][stylizer] else "downloads/weights"
    return f"results/{kind}/{stylizer}"


def stylizer_files(stylizer):
    """Return the weights that a job with this stylizer needs; embedded weights are no files of the study."""
    if not stylizer_kind(config, stylizer).configured:
        return []
    entry = config["stylizers"][stylizer]
    if "training" in entry:
        return [f"{weights_folder(stylizer)}/{part}.safetensors" for part in ("encoder", "decoder")]
    return [downloaded_weights(stylizer, part) for part in STYLIZER_PARTS if part in entry]


def stylizer_flags(stylizer):
    kind = stylizer_kind(config, stylizer)
    if not kind.configured:
        return ["--stylizer", kind.name]
    entry = config["stylizers"][stylizer]
    weights = downloaded_weights(stylizer, "weights") if "weights" in entry else weights_folder(stylizer)
    settings = {key: entry[key] for key in SETTINGS if key in entry}
    options = {"weights": weights, "threads": entry["threads"], "workers": entry["workers"]} | settings
    return ["--stylizer", kind.name, *flags(options)]


def stylizer_threads(stylizer):
    entry = config["stylizers"].get(stylizer, {})
    return entry.get("threads", 1) + entry.get("workers", 0)


def stylizer_gpus(stylizer):
    return config["gpus"] if stylizer_kind(config, stylizer).on_gpu else 0


def stylizer_training(wildcards):
    return config["stylizers"][wildcards.stylizer]["training"]


def training_origins(wildcards):
    """Return role → (set, split) for the content and the styles that a decoder is trained on."""
    recipe = stylizer_training(wildcards)
    return {
        "content": (recipe["content"], "train"),
        "styles": (recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train"),
    }


def stylizer_encoder(wildcards):
    """Return the encoder's file, or no input for a random encoder, which the training itself initializes."""
    return (
        []
        if config["stylizers"][wildcards.stylizer]["encoder"] == "random"
        else downloaded_weights(wildcards.stylizer, "encoder")
    )


def stylizer_ranks(wildcards):
    """Return the number of processes that train a decoder, one per GPU."""
    return max(1, stylizer_training(wildcards)["gpus"])


def stylizer_training_flags(wildcards):
    recipe, encoder = stylizer_training(wildcards), stylizer_encoder(wildcards)
    keys = ("steps", "batch_size", "resize", "size", "lr", "content_weight", "style_weight")
    width = {} if encoder else {"width": recipe["width"]}
    settings = {key: recipe[key] for key in keys} | width | {"seed": config["data_seed"]}
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"encoder": encoder or "random"} | settings | {key: entry[key] for key in ("threads", "workers")})


@within_partition("mem_mb")
def stylizer_memory(wildcards, attempt):
    """Return the memory in MB for all ranks that train a decoder."""
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
        runtime=one_day,
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
        # Not an output: Snakemake deletes outputs before a retry.
        checkpoints="results/checkpoints/stylizers/{stylizer}",
        folder=lambda wildcards, output: os.path.dirname(output.decoder),
    shell:
        "launch {resources.ranks} {resources.nodes} {resources.cpus_per_task}"
        ' "$SCRIPTS"/train_stylizer.py {params.origins:q} {params.flags:q}'
        " --checkpoints {params.checkpoints:q} $STAGING --out {params.folder:q} > {log:q} 2>&1"
