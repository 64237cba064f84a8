# Photographs and styles are listed and packed; packed photographs are stylized.


rule scan:
    """List the images of a source or of a set of styles, with their split and shard."""
    input:
        categories=lambda wildcards: set_entry(wildcards).get("categories", []),
    output:
        "results/images/{set}/listing.csv",
    log:
        "logs/scan/{set}.log",
    benchmark:
        "logs/benchmarks/scan/{set}.tsv"
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
        'python "$SCRIPTS"/scan.py --kind {params.kind:q} {params.flags:q} --out {output:q} > {log:q} 2>&1'


rule pack:
    """Draw or decode one shard of images."""
    input:
        listing="results/images/{set}/listing.csv",
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
        mem_mb=2000,
        runtime=120,
    params:
        kind=script_kind,
        flags=pack_flags,
    shell:
        'python "$SCRIPTS"/pack.py --listing {input.listing:q} --split {wildcards.split} --shard {wildcards.shard}'
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
        max_rejected=config["max_rejected"],
    shell:
        'python "$SCRIPTS"/encode_styles.py --styles {params.styles:q} --stylizer {wildcards.stylizer}'
        " --max-rejected {params.max_rejected} --out {output:q} > {log:q} 2>&1"


rule stylize:
    """Stylize one shard of photographs."""
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
        'python "$SCRIPTS"/stylize.py --content {input.content:q} --styles {params.styles:q}'
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
        'python "$SCRIPTS"/manifest.py --folder {params.folder:q} --shards {params.shards:q}'
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
        'python "$SCRIPTS"/contact_sheet.py --shards {params.shards:q} --title {params.title:q}'
        " --count 48 --columns 8 --seed {params.seed} --out {output:q} > {log:q} 2>&1"
