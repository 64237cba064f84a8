"""The plan of a study: which jobs there will be, before anything runs.

A pure function of the checked config. Rules are named as Snakemake names them and counted as it counts them (a test
compares both); what an image costs is in costs and planning_networks, how long all jobs take in planning_course.
"""

from shapebias.config.queries import Config
from shapebias.planning.costs import ASSUMED, Known
from shapebias.planning.images import checksum_jobs, download_jobs, packing_jobs, set_jobs, stylizing_jobs
from shapebias.planning.jobs import Jobs
from shapebias.planning.runs import measuring_jobs, report_jobs, training_jobs

STAGES = {
    "downloads": (
        "download_stimuli",
        "download_decisions",
        "download_network",
        "download_pretrained",
        "download_weights",
    ),
    "images": ("scan", "pack", "train_stylizer", "encode_styles", "stylize", "checksums", "catalogue"),
    "training": ("train",),
    "measuring": ("evaluate", "evaluate_melanoma", "tables"),
    "report": ("rejected_sheet", "figures", "settings", "report", "track", "all"),
}


def planned(config: Config, known: Known = ASSUMED) -> list[Jobs]:
    """All jobs of a study, each after those that it waits for; the config is a checked one."""
    return [
        *download_jobs(config, known),
        *packing_jobs(config, known),
        *stylizing_jobs(config, known),
        *checksum_jobs(config, known),
        *set_jobs(config, known),
        *training_jobs(config, known),
        *measuring_jobs(config, known),
        *report_jobs(config),
    ]
