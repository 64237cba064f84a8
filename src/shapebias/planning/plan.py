"""The plan of a study: the time and the disk space that its jobs need, before anything runs.

Snakemake's own graph provides the jobs (graph). The config and the costs provide the work of each job (work).
"""

from collections import defaultdict
from collections.abc import Sequence

from shapebias.config.queries import Config, run_name
from shapebias.planning.costs import NO_MEASUREMENTS, Measurements
from shapebias.planning.graph import PlannedJob
from shapebias.planning.jobs import JobGroup, Key
from shapebias.planning.work import PlanInputs, work_of

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
REPEATS = ("shard", "seed")  # jobs that differ only in these wildcards have the same cost


def plan_study(
    config: Config, jobs: Sequence[PlannedJob], measurements: Measurements = NO_MEASUREMENTS
) -> list[JobGroup]:
    """Return the jobs of a checked config with their costs, by stage; jobs with the same cost form one group."""
    runs = {
        run_name(model, regime, seed): (model, regime)
        for model in config["models"]
        for regime in config["regimes"]
        for seed in config["seeds"]
    }
    inputs = PlanInputs(config, measurements, runs)
    groups: dict[Key, list[PlannedJob]] = defaultdict(list)
    for job in jobs:
        groups[group_key(job, inputs)].append(job)
    producer = {path: key for key, members in groups.items() for job in members for path in job.outputs}
    rules = [rule for stage in STAGES.values() for rule in stage]
    names = [name for section in SECTIONS for name in config[section]]
    position = {name: index for index, name in reversed([*enumerate(names)])}
    keys = sorted(groups, key=lambda key: (rules.index(key[0]), [position.get(part, 0) for part in key[1:]], key))
    return [plan_group(inputs, key, groups[key], producer) for key in keys]


def group_key(job: PlannedJob, inputs: PlanInputs) -> Key:
    """Return the rule and the wildcards that determine a job's cost; for a run, its model and regime."""
    if run := inputs.runs.get(job.wildcards.get("observer", "")):
        return (job.rule, *run)
    return (job.rule, *(value for name, value in job.wildcards.items() if name not in REPEATS))


def plan_group(inputs: PlanInputs, key: Key, members: Sequence[PlannedJob], producer: dict[str, Key]) -> JobGroup:
    """Return the plan's entry for jobs with the same cost; producer: path → key of the group that writes it."""
    job = members[0]
    work = work_of(inputs, job.rule, job.wildcards, len(job.outputs))
    awaited = (producer[path] for member in members for path in member.inputs if path in producer)
    return JobGroup(
        key,
        len(members),
        work.seconds,
        images=round(work.images * len(members)),
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
