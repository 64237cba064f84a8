# Photographs and styles are listed and packed; packed photographs are stylized.


def set_entry(wildcards):
    return config["styles"].get(wildcards.set) or config["sources"][wildcards.set]


def script_kind(wildcards):
    """A set of styles that is drawn is called `paintings` by the scripts; `synthetic` draws photographs."""
    kind = set_entry(wildcards)["kind"]
    return "paintings" if wildcards.set in config["styles"] and kind == "synthetic" else kind


def scan_flags(wildcards):
    entry = set_entry(wildcards)
    per_class = {"per_class": pairs(entry["per_class"])} if "per_class" in entry else {}
    chosen = {key: entry[key] for key in ("folder", "categories", "count") if key in entry}
    return flags(chosen | per_class | {"shards": pairs(shard_counts(wildcards.set)), "seed": config["data_seed"]})


def pack_flags(wildcards):
    entry = set_entry(wildcards)
    common = {"size": entry.get("size", config["image_size"]), "seed": config["data_seed"], "format": config["format"]}
    if "folder" in entry:
        limits = {key: config[key] for key in ("max_megapixels", "max_rejected")}
        return flags(common | limits | {"folder": entry["folder"]})
    return flags(common | {key: entry[key] for key in ("appearance",) if key in entry})


def style_split(wildcards):
    """The split that styles are drawn from: a source's of the same name, a set of styles has one."""
    return ALL if config["stylized"][wildcards.set]["styles"] in config["styles"] else wildcards.split


def style_vectors(wildcards):
    entry = config["stylized"][wildcards.set]
    return f"results/style_vectors/{entry['stylizer']}/{entry['styles']}/{style_split(wildcards)}.safetensors"


def stylize_flags(wildcards):
    entry = config["stylized"][wildcards.set]
    chosen = {key: entry[key] for key in ("stylizer", "strength")}
    return flags(
        chosen
        | {"size": config["image_size"], "seed": config["data_seed"], "format": config["format"]}
        | {"max_rejected": config["max_rejected"]}
        | ({"other_category": True} if entry["other_category"] else {})
    )


rule scan:
    output:
        "results/images/{set}/listing.csv",
    log:
        "logs/scan/{set}.log",
    benchmark:
        "logs/benchmarks/scan/{set}.tsv"
    """List the images of a source or of a set of styles, with their split and shard."""
    wildcard_constraints:
        set=one_of(PACKED),
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        kind=script_kind,
        flags=scan_flags,
    shell:
        "python {SCRIPTS}/scan.py --kind {params.kind:q} {params.flags:q} --out {output:q} > {log:q} 2>&1"


rule pack:
    input:
        listing="results/images/{set}/listing.csv",
    output:
        shard="results/images/{set}/{split}/{shard}.tar",
        rejected="results/images/{set}/{split}/{shard}.rejected.csv",
    log:
        "logs/pack/{set}/{split}/{shard}.log",
    benchmark:
        "logs/benchmarks/pack/{set}/{split}/{shard}.tsv"
    """Draw or decode one shard of images."""
    wildcard_constraints:
        set=one_of(PACKED),
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        kind=script_kind,
        flags=pack_flags,
    shell:
        "python {SCRIPTS}/pack.py --listing {input.listing:q} --split {wildcards.split} --shard {wildcards.shard}"
        " --kind {params.kind:q} {params.flags:q} --out {output.shard:q} > {log:q} 2>&1"


rule encode_styles:
    """Compute the style vector of every style, once."""
    input:
        styles=lambda wildcards: shards(wildcards.set, wildcards.split),
    output:
        "results/style_vectors/{stylizer}/{set}/{split}.safetensors",
    log:
        "logs/encode_styles/{stylizer}/{set}/{split}.log",
    benchmark:
        "logs/benchmarks/encode_styles/{stylizer}/{set}/{split}.tsv"
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        styles=lambda wildcards: shard_range(wildcards.set, wildcards.split),
    shell:
        "python {SCRIPTS}/encode_styles.py --styles {params.styles:q} --stylizer {wildcards.stylizer}"
        " --out {output:q} > {log:q} 2>&1"


rule stylize:
    input:
        content=lambda wildcards: shards(config["stylized"][wildcards.set]["content"], wildcards.split)[
            int(wildcards.shard)
        ],
        styles=lambda wildcards: shards(config["stylized"][wildcards.set]["styles"], style_split(wildcards)),
        vectors=style_vectors,
    output:
        shard="results/images/{set}/{split}/{shard}.tar",
        rejected="results/images/{set}/{split}/{shard}.rejected.csv",
    log:
        "logs/stylize/{set}/{split}/{shard}.log",
    benchmark:
        "logs/benchmarks/stylize/{set}/{split}/{shard}.tsv"
    """Stylize one shard of photographs."""
    wildcard_constraints:
        set=one_of(config["stylized"]),
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        styles=lambda wildcards: shard_range(config["stylized"][wildcards.set]["styles"], style_split(wildcards)),
        flags=stylize_flags,
    shell:
        "python {SCRIPTS}/stylize.py --content {input.content:q} --styles {params.styles:q}"
        " --style-vectors {input.vectors:q} {params.flags:q} --out {output.shard:q} > {log:q} 2>&1"


rule manifest:
    """Say what became of each image of a set: where it is, or why it was set aside."""
    input:
        shards=lambda wildcards: [s for split in shard_counts(wildcards.set) for s in shards(wildcards.set, split)],
    output:
        manifest="results/images/{set}/manifest.csv",
        rejected="results/images/{set}/rejected.csv",
    log:
        "logs/manifest/{set}.log",
    benchmark:
        "logs/benchmarks/manifest/{set}.tsv"
    conda:
        "../../envs/stylize.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        folder=lambda wildcards: f"results/images/{wildcards.set}",
        shards=lambda wildcards: pairs(shard_counts(wildcards.set)),
    shell:
        "python {SCRIPTS}/manifest.py --folder {params.folder:q} --shards {params.shards:q}"
        " --out {output.manifest:q} --rejected {output.rejected:q} > {log:q} 2>&1"


rule contact_sheet:
    """Show a sample of a set with its labels."""
    input:
        shards=lambda wildcards: shards(wildcards.set, sheet_split(wildcards)),
    output:
        "results/figures/contact_sheet.{set}.png",
    log:
        "logs/contact_sheet/{set}.log",
    benchmark:
        "logs/benchmarks/contact_sheet/{set}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=lambda wildcards: f"{wildcards.set}, split {sheet_split(wildcards)}",
        shards=lambda wildcards: shard_range(wildcards.set, sheet_split(wildcards)),
        seed=config["data_seed"],
    shell:
        "python {SCRIPTS}/contact_sheet.py --shards {params.shards:q} --title {params.title:q}"
        " --count 48 --columns 8 --seed {params.seed} --out {output:q} > {log:q} 2>&1"


def sheet_split(wildcards):
    """The first split of a set: what is trained on, where there is that."""
    return next(iter(shard_counts(wildcards.set)))
