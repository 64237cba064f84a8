"""A plan as text: a table with a line for each rule, totals, and all assumptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shapebias.config.dataset_sizes import PAINTINGS
from shapebias.config.queries import Config
from shapebias.planning.costs import Measurements
from shapebias.planning.jobs import JobGroup
from shapebias.planning.network_costs import full_recipe, max_epochs, world_size_of
from shapebias.planning.plan import STAGES
from shapebias.planning.schedule import Schedule

HEADER = ("", "jobs", "images", "core-hours", "GPU-hours", "files", "written")
COLUMNS = ("rule", "stage", "jobs", "images", "core_hours", "gpu_hours", "files", "bytes")


@dataclass(frozen=True)
class PlanRow:
    """The sums over the jobs of one rule or of one stage; see JobGroup."""

    jobs: int = 0
    images: int = 0
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    files: int = 0
    written: float = 0.0


def sum_groups(plan: Sequence[JobGroup]) -> PlanRow:
    """Return the sums over a plan, or over a part of it."""
    return PlanRow(
        jobs=sum(group.count for group in plan),
        images=sum(group.images for group in plan),
        core_hours=sum(group.count * group.seconds * group.cpus for group in plan) / 3600,
        gpu_hours=sum(group.count * group.seconds * group.gpus for group in plan) / 3600,
        files=sum(group.count * group.files for group in plan),
        written=sum(group.count * group.written for group in plan),
    )


def rows_by_rule(plan: Sequence[JobGroup]) -> dict[str, PlanRow]:
    """Return rule → row in the order of STAGES, without the rules that have no group."""
    parts = {rule: [group for group in plan if group.rule == rule] for rules in STAGES.values() for rule in rules}
    return {rule: sum_groups(part) for rule, part in parts.items() if part}


def plan_rows(plan: Sequence[JobGroup]) -> list[tuple]:
    """Return the plan's table as rows in the order of COLUMNS."""
    stage_of = {rule: stage for stage, rules in STAGES.items() for rule in rules}
    return [
        (rule, stage_of[rule], row.jobs, row.images, row.core_hours, row.gpu_hours, row.files, row.written)
        for rule, row in rows_by_rule(plan).items()
    ]


def format_plan(plan: Sequence[JobGroup]) -> str:
    """Format a plan as a table: a line for each stage, lines for its rules below it, and a line of totals."""
    rows = rows_by_rule(plan)
    lines: list[tuple[str, ...]] = [HEADER]
    for stage, rules in STAGES.items():
        part = [group for group in plan if group.rule in rules]
        if part:
            lines.append(format_row(stage, sum_groups(part), images=False))
            lines += [format_row(f"  {rule}", rows[rule]) for rule in rules if rule in rows]
    lines.append(format_row("total", sum_groups(plan), images=False))
    return align_columns(lines)


def format_row(name: str, row: PlanRow, *, images: bool = True) -> tuple[str, ...]:
    """Return the cells of a line.

    images: whether to print their number. A sum over rules would count an image once for each rule that uses it.
    """
    count = f"{row.images:,}" if images and row.images else ""
    gpu_hours = format_hours(row.gpu_hours) if row.gpu_hours else ""
    return (
        name,
        f"{row.jobs:,}",
        count,
        format_hours(row.core_hours),
        gpu_hours,
        f"{row.files:,}",
        format_bytes(row.written),
    )


def align_columns(lines: Sequence[Sequence[str]]) -> str:
    """Format cells as columns, the first aligned to the left and all others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def format_hours(value: float) -> str:
    """Format a number of hours."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def format_bytes(count: float) -> str:
    """Format a number of bytes with a unit."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


def format_duration(seconds: float) -> str:
    """Format seconds with a unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"


def format_totals(config: Config, plan: Sequence[JobGroup], schedule: Schedule, machine: str) -> str:
    """Format the totals of a study; machine: the cores and GPUs of the schedule, in words."""
    total, rows = sum_groups(plan), rows_by_rule(plan)
    download_rows = [rows[rule] for rule in STAGES["downloads"] if rule in rows]
    size = format_bytes(sum(row.written for row in download_rows))
    downloads = f"{sum(row.files for row in download_rows):,} files, about {size}"
    per_node = format_bytes(max((group.staged for group in plan), default=0.0))
    copied = f"{per_node} on a node, {format_bytes(schedule.staged)} at one time on all nodes"
    staged = copied if config["stage_shards"] else "none (stage_shards: false)"
    lines = [
        ("wall time", f"{format_duration(schedule.seconds)} on {machine}, without time in a queue"),
        ("GPU-hours", format_hours(total.gpu_hours) if total.gpu_hours else "none (gpus: 0)"),
        ("core-hours", format_hours(total.core_hours)),
        ("disk", f"{format_bytes(total.written)} in {total.files:,} files, plus {2 * total.jobs:,} logs and timings,"),
        ("", "plus a metadata file of Snakemake for each file and folder that a rule makes"),
        ("peak scratch", f"{format_bytes(schedule.checkpoints)} of checkpoints, two generations a run;"),
        ("", f"{format_bytes(schedule.drafts)} of unfinished files"),
        ("staged shards", staged),
        ("downloads", downloads if download_rows else "none"),
    ]
    return "\n".join(f"{name:<13}  {value}" for name, value in lines)


def list_assumptions(config: Config, plan: Sequence[JobGroup], measurements: Measurements, start: float) -> list[str]:
    """Return all assumptions behind the numbers of a plan, one sentence each."""
    sentences = [*image_assumptions(config, measurements)]
    sentences += list_bases(plan)
    epoch_limits = sorted(
        {
            max_epochs(config, model, regime)
            for model in config["models"]
            for regime in config["regimes"]
            if full_recipe(config, model, regime)["patience"]
        }
    )
    if epoch_limits:
        sentences.append(
            f"training: at most {' or '.join(map(str, epoch_limits))} epochs; `patience` may end a run earlier"
        )
    if any(world_size_of(config, model, regime) > 1 for model in config["models"] for regime in config["regimes"]):
        sentences.append("training: ranks share the work without loss")
    sentences.append("core-hours: of all cores that jobs ask for, including jobs on a GPU")
    sentences.append(
        f"jobs: the scheduler takes {start:g} s to start one; Python starts in 5 s with torch, in 0.7 s without"
    )
    sentences.append("wall time: without the second to three minutes in which profiles/slurm notices the end of a job")
    if runs := [group for group in plan if group.rule == "train"]:
        longest = max(runs, key=lambda group: group.seconds)
        sentences.append(
            f"training: {' '.join(longest.key[1:])} is the longest run, {format_duration(longest.seconds)}"
        )
    sentences.append(
        "sizes: photographs of aspect ratio 4 to 3, stylized images like those of the demo, weights in float32"
    )
    return sentences


def list_bases(plan: Sequence[JobGroup]) -> list[str]:
    """Return the basis of the plan's costs; jobs with the same reason share a sentence."""
    names: dict[tuple[str, str], list[str]] = {}
    for basis in dict.fromkeys(group.basis for group in plan if group.basis):
        names.setdefault((basis.activity, basis.reason), []).append(basis.name)
    return [f"{activity} {', '.join(members)}: {reason}" for (activity, reason), members in names.items()]


def image_assumptions(config: Config, measurements: Measurements) -> list[str]:
    """Return the numbers of images that do not follow from the config, one sentence each."""
    sentences = []
    for name, entry in config["sources"].items():
        key = f"sources.{name}"
        if entry["kind"] == "imagefolder":
            classes = measurements.folder_sizes.get(key)
            sentences.append(
                f"{key}: {classes} classes are there"
                if key in measurements.folder_sizes
                else f"{key}: 207 classes assumed, the folder does not exist"
            )
        if "all" in entry.get("per_class", {}).values():
            sentences.append(f"{key}: 1,300 images a class assumed, as per_class is all")
    for name, entry in config["styles"].items():
        if "folder" in entry:
            key = f"styles.{name}"
            images = measurements.folder_sizes.get(key)
            sentences.append(
                f"{key}: {images:,} images are there"
                if images
                else f"{key}: {PAINTINGS:,} images assumed, the size of Painter by Numbers; the folder does not exist"
            )
    missing = [
        name
        for name, entry in config["benchmarks"].items()
        if "folder" in entry and f"benchmarks.{name}" not in measurements.folder_sizes
    ]
    if missing:
        sentences.append(f"benchmarks {', '.join(missing)}: as many images as were published")
    return sentences


def compare_timings(plan: Sequence[JobGroup], timings: Mapping[str, Sequence[float]]) -> tuple[str, float]:
    """Return a table of planned and measured seconds for each rule, and the overall ratio of measured to planned.

    timings: rule → seconds of each finished job, for at least one rule of the plan. For a rule with unfinished jobs,
    the plan's mean per job is multiplied by the number of finished jobs.
    """
    lines: list[tuple[str, ...]] = [("", "jobs", "of", "planned s", "measured s", "measured / planned")]
    sums, finished = [0.0, 0.0], 0
    for rules in STAGES.values():
        for rule in rules:
            part = [group for group in plan if group.rule == rule]
            if not part or rule not in timings:
                continue
            count, seconds = sum(group.count for group in part), timings[rule]
            expected = sum(group.count * group.seconds for group in part) / count * len(seconds)
            lines.append(format_comparison(rule, len(seconds), count, expected, sum(seconds)))
            sums, finished = [sums[0] + expected, sums[1] + sum(seconds)], finished + len(seconds)
    lines.append(format_comparison("total", finished, sum(group.count for group in plan), *sums))
    return align_columns(lines), sums[1] / sums[0]


def format_comparison(name: str, finished: int, count: int, planned: float, measured: float) -> tuple[str, ...]:
    """Return the cells of a line of the comparison."""
    return (
        name,
        f"{finished:,}",
        f"{count:,}",
        f"{planned:,.0f}",
        f"{measured:,.0f}",
        f"{measured / max(planned, 1e-9):.2f}",
    )
