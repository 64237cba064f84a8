# Photographs and styles are listed and packed; packed photographs are stylized.


rule scan:
    """List the photographs or paintings of a folder or archive, with their split and shard."""
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


rule encode_styles:
    """Compute the style vector of every style of a shard, once."""
    input:
        styles="results/images/{set}/{split}/{shard}.tar",
        weights=lambda wildcards: stylizer_files(wildcards.stylizer),
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
        mem_mb=memory(3000),
        runtime=encode_minutes,
        gpus=lambda wildcards: stylizer_gpus(wildcards.stylizer),
        gres=lambda wildcards: gres(stylizer_gpus(wildcards.stylizer)),
    params:
        flags=encode_flags,
    shell:
        'python "$SCRIPTS"/encode_styles.py --styles {input.styles:q} {params.flags:q} --out {output:q} > {log:q} 2>&1'


rule checksums:
    """List the checksums of a split's shards or style vectors: other jobs depend on this one file."""
    input:
        lambda wildcards: listed(*files_of_split(wildcards)),
    output:
        f"results/{{kept}}/{{set}}/{{split}}/{CHECKSUMS}",
    log:
        "logs/checksums/{kept}/{set}/{split}.log",
    benchmark:
        "logs/benchmarks/checksums/{kept}/{set}/{split}.tsv"
    wildcard_constraints:
        kept="images|style_vectors/[^/]+",
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


rule catalogue:
    """Say what became of each image of a set: where it is, or why it was rejected. Show a sample of the set with its
    labels; of a stylized set, content and style beside each result.
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
    """Show the images of all sets that were set aside, with the reasons."""
    input:
        tables=[f"results/images/{name}/rejected.csv" for name in PACKED],
    output:
        "results/figures/rejected.png",
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
