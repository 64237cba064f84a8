"""The plan of a study: what its jobs take and leave, before anything runs.

Snakemake's own graph says which jobs there are (graph), the config and the costs what each works on (work).
"""

from collections import defaultdict
from collections.abc import Sequence

from shapebias.config.queries import Config, run_name
from shapebias.planning.costs import ASSUMED, Known
from shapebias.planning.graph import Job
from shapebias.planning.jobs import Jobs, Key
from shapebias.planning.work import Study, work_of

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
SECTIONS = ("sources", "styles", "stylized", "stylizers", "models", "regimes", "observers")
ALIKE = ("shard", "seed")  # wildcards that tell jobs apart which cost the same


def plan_study(config: Config, jobs: Sequence[Job], known: Known = ASSUMED) -> list[Jobs]:
    """Return the jobs of a checked config with their costs, by stage; jobs that are alike are one entry."""
    runs = {
        run_name(model, regime, seed): (model, regime)
        for model in config["models"]
        for regime in config["regimes"]
        for seed in config["seeds"]
    }
    study = Study(config, known, runs)
    entries: dict[Key, list[Job]] = defaultdict(list)
    for job in jobs:
        entries[key_of(job, study)].append(job)
    maker = {path: key for key, alike in entries.items() for job in alike for path in job.outputs}
    rules = [rule for stage in STAGES.values() for rule in stage]
    names = [name for section in SECTIONS for name in config[section]]
    order = {name: place for place, name in reversed([*enumerate(names)])}
    ordered = sorted(entries, key=lambda key: (rules.index(key[0]), [order.get(part, 0) for part in key[1:]], key))
    return [plan_entry(study, key, entries[key], maker) for key in ordered]


def key_of(job: Job, study: Study) -> Key:
    """The rule and the wildcards that tell kinds of its jobs apart: of a run its model and regime, not its seed."""
    if run := study.runs.get(job.wildcards.get("observer", "")):
        return (job.rule, *run)
    return (job.rule, *(value for name, value in job.wildcards.items() if name not in ALIKE))


def plan_entry(study: Study, key: Key, alike: Sequence[Job], maker: dict[str, Key]) -> Jobs:
    job = alike[0]
    work = work_of(study, job.rule, job.wildcards, len(job.outputs))
    awaited = (maker[path] for each in alike for path in each.inputs if path in maker)
    return Jobs(
        key,
        len(alike),
        work.seconds,
        images=round(work.images * len(alike)),
        cpus=job.cpus,
        gpus=job.gpus,
        files=len(job.outputs) + work.files,
        written=work.written,
        scratch=work.scratch,
        staged=work.staged,
        nodes=job.nodes,
        after=tuple(dict.fromkeys(awaited)),
        basis=work.basis,
    )
