"""Does this network see shape, or texture? From photographs to a report; README.md says how to run it."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/image_inputs.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/downloads.smk"
include: "workflow/rules/stylizers.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/measuring.smk"
include: "workflow/rules/report.smk"


rule all:
    """Everything: the report is made from all else."""
    default_target: True
    input:
        "results/report.html",
    localrule: True
