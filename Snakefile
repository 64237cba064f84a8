"""Does this network see shape or texture? The workflow from photographs to a report; README.md explains how to run it."""

from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/config_files.smk"


# A study is one file. Without this condition, Snakemake would merge a file from --configfile into config.yaml.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/upstream.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/downloads.smk"
include: "workflow/rules/stylizers.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/measuring.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/starting.smk"


rule all:
    """Make the report, which depends on all other results, and upload tables and figures to W&B."""
    default_target: True
    input:
        "results/report.html",
        [] if config["wandb"]["mode"] == "disabled" else "results/wandb/report.json",
    localrule: True


rule images:
    """Make all sets of images, packed and stylized, with a list of accepted and rejected images. No network is trained.
    Missing shards are made again.
    """
    input:
        [shard for name in SETS for split in shard_counts(name) for shard in shards(name, split)],
        [checksums_of(name, split) for name in SETS for split in shard_counts(name)],
        [f"results/images/{name}/{table}.csv" for name in SETS for table in ("manifest", "rejected")],
        [f"results/figures/contact_sheet.{name}.png" for name in SETS],
        ["results/figures/rejected"] if PACKED else [],
    localrule: True
