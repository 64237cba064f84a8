# Sets of images: photographs and styles are listed and packed, and packed photographs are stylized.

from shapebias.planning.costs import encode_seconds, pack_seconds, stylize_seconds


def script_kind(wildcards):
    """Return the kind of a set in the scripts: they call drawn styles `paintings`, and drawn photographs `synthetic`."""
    kind = set_entry(wildcards)["kind"]
    return "paintings" if wildcards.set in config["styles"] and kind == "synthetic" else kind


def set_flags(name):
    """Return flags for the images of a set and their numbers in splits and shards."""
    entry = config["styles"].get(name) or config["sources"][name]
    per_class = {"per_class": pairs(entry["per_class"])} if "per_class" in entry else {}
    selection = {key: entry[key] for key in ("folder", "categories", "classes", "count") if key in entry}
    return flags(selection | per_class | {"shards": pairs(shard_counts(name)), "seed": config["data_seed"]})


rule scan:
    """List the photographs or paintings of a folder or an archive, with their split and shard."""
    input:
        categories=lambda wildcards: set_entry(wildcards).get("categories", []),
    output:
        "results/images/{set}/listing.parquet",
    log:
        "logs/scan/{set}.log",
    benchmark:
        "logs/benchmarks/scan/{set}.tsv"
    wildcard_constraints:
        set=one_of(LISTED),
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=time_limit(240),  # an archive of a million photographs on a slow disk
    params:
        kind=script_kind,
        flags=lambda wildcards: set_flags(wildcards.set),
    shell:
        'python "$SCRIPTS"/scan.py --kind {params.kind:q} {params.flags:q} --out {output:q} > {log:q} 2>&1'


def listing_of(name):
    return f"results/images/{name}/listing.parquet" if name in LISTED else []


def pack_flags(wildcards):
    entry = set_entry(wildcards)
    common = {"size": entry.get("size", config["image_size"]), "format": config["format"]}
    if wildcards.set in LISTED:
        limits = {key: config[key] for key in ("max_megapixels", "max_rejected")}
        files = {"listing": listing_of(wildcards.set), "folder": entry["folder"], "seed": config["data_seed"]}
        return flags(common | limits | files)
    return set_flags(wildcards.set) + flags(common | {key: entry[key] for key in ("appearance",) if key in entry})


@within_partition("runtime")
def pack_minutes(wildcards, attempt):
    return minutes(pack_seconds(config, wildcards.set, wildcards.split, MEASUREMENTS), attempt)


rule pack:
    """Draw or decode one shard of images."""
    input:
        listing=lambda wildcards: listing_of(wildcards.set),
    output:
        shard="results/images/{set}/{split}/{shard}.tar",
        rejected="results/images/{set}/{split}/{shard}.rejected.csv",
    log:
        "logs/pack/{set}/{split}/{shard}.log",
    benchmark:
        "logs/benchmarks/pack/{set}/{split}/{shard}.tsv"
    wildcard_constraints:
        set=one_of(PACKED),
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=pack_minutes,
    params:
        kind=script_kind,
        flags=pack_flags,
    shell:
        'python "$SCRIPTS"/pack.py --split {wildcards.split} --shard {wildcards.shard}'
        " --kind {params.kind:q} {params.flags:q} --out {output.shard:q} > {log:q} 2>&1"


def encode_flags(wildcards):
    entry = config["stylizers"].get(wildcards.stylizer, {})
    view = {key: entry[key] for key in ("style_size", "style_crop", "style_masks") if key in entry}
    return stylizer_flags(wildcards.stylizer) + flags(view | {"max_rejected": config["max_rejected"]})


@within_partition("runtime")
def encode_minutes(wildcards, attempt):
    return minutes(encode_seconds(config, wildcards.stylizer, wildcards.set, wildcards.split, MEASUREMENTS), attempt)


@within_partition("mem_mb")
def encode_memory(wildcards, attempt):
    """Return the memory in MB of a job that encodes a shard of styles: it holds all vectors, and copies of them."""
    styles = dataset_sizes.images_in_shard(config, wildcards.set, wildcards.split)
    return attempt * (3000 + round(3 * styles * stylizer_kind(config, wildcards.stylizer).style_bytes / 1e6))


rule encode_styles:
    """Compute the style vector of each style in a shard once."""
    input:
        styles="results/images/{set}/{split}/{shard}.tar",
        weights=lambda wildcards: stylizer_files(wildcards.stylizer),
        masks=lambda wildcards: config["stylizers"].get(wildcards.stylizer, {}).get("style_masks", []),
    output:
        "results/style_vectors/{stylizer}/{set}/{split}/{shard}.safetensors",
    log:
        "logs/encode_styles/{stylizer}/{set}/{split}/{shard}.log",
    benchmark:
        "logs/benchmarks/encode_styles/{stylizer}/{set}/{split}/{shard}.tsv"
    wildcard_constraints:
        set=one_of(PACKED),
    conda:
        "../../envs/stylize.yaml"
    threads: lambda wildcards: stylizer_threads(wildcards.stylizer)
    resources:
        mem_mb=encode_memory,
        runtime=encode_minutes,
        gpus=lambda wildcards: stylizer_gpus(wildcards.stylizer),
        gres=lambda wildcards: gres(stylizer_gpus(wildcards.stylizer)),
    params:
        flags=encode_flags,
    shell:
        'python "$SCRIPTS"/encode_styles.py --styles {input.styles:q} {params.flags:q} --out {output:q} > {log:q} 2>&1'


def files_of_split(wildcards):
    """Return folder, number and extension of a split's shards, or of its style vectors."""
    extension = "tar" if wildcards.folder == "images" else "safetensors"
    folder = f"results/{wildcards.folder}/{wildcards.set}/{wildcards.split}"
    return folder, shard_counts(wildcards.set)[wildcards.split], extension


rule checksums:
    """List the checksums of a split's shards or style vectors in one file, which other jobs take as their input."""
    input:
        lambda wildcards: listed(*files_of_split(wildcards)),
    output:
        f"results/{{folder}}/{{set}}/{{split}}/{CHECKSUMS}",
    log:
        "logs/checksums/{folder}/{set}/{split}.log",
    benchmark:
        "logs/benchmarks/checksums/{folder}/{set}/{split}.tsv"
    wildcard_constraints:
        folder="images|style_vectors/[^/]+",
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=time_limit(120),  # a hundred gigabytes on a slow disk
    params:
        files=lambda wildcards: numbered(*files_of_split(wildcards)),
    shell:
        'python "$SCRIPTS"/checksums.py {params.files:q} --out {output:q} > {log:q} 2>&1'


def style_split(wildcards):
    """Return the split of the styles: that of the same name in a source, or the only split of a set of styles."""
    return ALL if config["stylized"][wildcards.set]["styles"] in config["styles"] else wildcards.split


def vector_folder(wildcards):
    entry = config["stylized"][wildcards.set]
    return f"results/style_vectors/{entry['stylizer']}/{entry['styles']}/{style_split(wildcards)}"


def vector_count(wildcards):
    return shard_counts(config["stylized"][wildcards.set]["styles"])[style_split(wildcards)]


def vector_input(wildcards):
    """Return the input for a stylized set's style vectors: the file itself, or the checksum list of several files."""
    folder = vector_folder(wildcards)
    return f"{folder}/0.safetensors" if vector_count(wildcards) == 1 else f"{folder}/{CHECKSUMS}"


def stylizer_of(wildcards):
    return config["stylized"][wildcards.set]["stylizer"]


def stylize_flags(wildcards):
    entry = config["stylized"][wildcards.set]
    options = {key: entry[key] for key in ("strength", "crop") if key in entry}
    return stylizer_flags(entry["stylizer"]) + flags(
        options
        | {"content_size": config["image_size"], "seed": config["data_seed"], "format": config["format"]}
        | {"max_rejected": config["max_rejected"]}
        | ({"other_category": True} if entry["other_category"] else {})
    )


@within_partition("runtime")
def stylize_minutes(wildcards, attempt):
    return minutes(stylize_seconds(config, wildcards.set, wildcards.split, MEASUREMENTS), attempt)


rule stylize:
    """Stylize one shard of photographs."""
    input:
        content=lambda wildcards: shards(config["stylized"][wildcards.set]["content"], wildcards.split)[
            int(wildcards.shard)
        ],
        vectors=vector_input,
        weights=lambda wildcards: stylizer_files(stylizer_of(wildcards)),
    output:
        shard="results/images/{set}/{split}/{shard}.tar",
        rejected="results/images/{set}/{split}/{shard}.rejected.csv",
    log:
        "logs/stylize/{set}/{split}/{shard}.log",
    benchmark:
        "logs/benchmarks/stylize/{set}/{split}/{shard}.tsv"
    wildcard_constraints:
        set=one_of(config["stylized"]),
    conda:
        "../../envs/stylize.yaml"
    threads: lambda wildcards: stylizer_threads(stylizer_of(wildcards))
    resources:
        mem_mb=memory(3000),
        runtime=stylize_minutes,
        gpus=lambda wildcards: stylizer_gpus(stylizer_of(wildcards)),
        gres=lambda wildcards: gres(stylizer_gpus(stylizer_of(wildcards))),
    params:
        vectors=lambda wildcards: numbered(vector_folder(wildcards), vector_count(wildcards), "safetensors"),
        flags=stylize_flags,
    shell:
        'python "$SCRIPTS"/stylize.py --content {input.content:q} --style-vectors {params.vectors:q} {params.flags:q}'
        " --out {output.shard:q} > {log:q} 2>&1"


def sheet_split(wildcards):
    """Return the first split of a set, which is the training split if there is one."""
    return next(iter(shard_counts(wildcards.set)))


def sheet_origins(wildcards):
    """Return role → (set, split) for the content and the styles of a stylized set."""
    entry, split = config["stylized"].get(wildcards.set), sheet_split(wildcards)
    if entry is None:
        return {}
    return {
        "content": (entry["content"], split),
        "styles": (entry["styles"], ALL if entry["styles"] in config["styles"] else split),
    }


def sheet_cells(wildcards):
    """Return flags for the grid of a contact sheet; a stylized image needs a row for its content and its style."""
    return flags({"count": 18, "columns": 3} if wildcards.set in config["stylized"] else {"count": 48, "columns": 8})


@within_partition("mem_mb")
def set_memory(wildcards, attempt):
    """Return the memory in MB of a job that reads all labels of a set; measured: 2.5 MB per thousand images."""
    return attempt * (1000 + round(3 * dataset_sizes.images_in_set(config, wildcards.set) / 1000))


rule catalogue:
    """List each image of a set with its shard, or with the reason for its rejection. Draw a contact sheet with labels; for
    a stylized set, it shows content and style beside each result.
    """
    input:
        shards=lambda wildcards: [s for split in shard_counts(wildcards.set) for s in shards(wildcards.set, split)],
        origins=lambda wildcards: [s for origin in sheet_origins(wildcards).values() for s in shards(*origin)],
    output:
        manifest="results/images/{set}/manifest.csv",
        rejected="results/images/{set}/rejected.csv",
        sheet="results/figures/contact_sheet.{set}.png",
    log:
        "logs/catalogue/{set}.log",
    benchmark:
        "logs/benchmarks/catalogue/{set}.tsv"
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=set_memory,
        runtime=time_limit(60),
    params:
        folder=lambda wildcards: f"results/images/{wildcards.set}",
        shards=lambda wildcards: pairs(shard_counts(wildcards.set)),
        title=lambda wildcards: f"{wildcards.set}, split {sheet_split(wildcards)}",
        sample=lambda wildcards: shard_range(wildcards.set, sheet_split(wildcards)),
        origins=lambda wildcards: flags({k: shard_range(*origin) for k, origin in sheet_origins(wildcards).items()}),
        cells=sheet_cells,
        seed=config["data_seed"],
    shell:
        'python "$SCRIPTS"/catalogue.py --folder {params.folder:q} --shards {params.shards:q}'
        " --out {output.manifest:q} --rejected {output.rejected:q} --sheet {output.sheet:q} --title {params.title:q}"
        " --sample {params.sample:q} {params.origins:q} {params.cells:q} --seed {params.seed} > {log:q} 2>&1"


rule rejected_sheet:
    """Show the rejected images of all sets with the reasons. The folder stays empty if no image was rejected."""
    input:
        tables=[f"results/images/{name}/rejected.csv" for name in PACKED],
    output:
        directory("results/figures/rejected"),
    log:
        "logs/rejected_sheet.log",
    benchmark:
        "logs/benchmarks/rejected_sheet.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=time_limit(30),
    params:
        sets=[f"{name}=results/images/{name}/rejected.csv={set_folder(name)}" for name in PACKED],
    shell:
        'python "$SCRIPTS"/rejected_sheet.py --sets {params.sets:q} --out {output:q} > {log:q} 2>&1'
