"""A plan in words: a line a rule, totals, and everything that they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shapebias.config.dataset_sizes import PAINTINGS
from shapebias.config.queries import Config
from shapebias.planning.costs import Known
from shapebias.planning.jobs import Jobs
from shapebias.planning.network_costs import epochs_of, recipe_in
from shapebias.planning.plan import STAGES
from shapebias.planning.schedule import Course

HEADER = ("", "jobs", "images", "core-hours", "GPU-hours", "files", "written")
COLUMNS = ("rule", "stage", "jobs", "images", "core_hours", "gpu_hours", "files", "bytes")


@dataclass(frozen=True)
class Row:
    """What the jobs of one rule, or of a stage, are together; see Jobs."""

    jobs: int = 0
    images: int = 0
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    files: int = 0
    written: float = 0.0


def summed(plan: Sequence[Jobs]) -> Row:
    """All of a plan, or of a part of it."""
    return Row(
        jobs=sum(jobs.count for jobs in plan),
        images=sum(jobs.images for jobs in plan),
        core_hours=sum(jobs.count * jobs.seconds * jobs.cpus for jobs in plan) / 3600,
        gpu_hours=sum(jobs.count * jobs.seconds * jobs.gpus for jobs in plan) / 3600,
        files=sum(jobs.count * jobs.files for jobs in plan),
        written=sum(jobs.count * jobs.written for jobs in plan),
    )


def by_rule(plan: Sequence[Jobs]) -> dict[str, Row]:
    """Rule → its row, in the order of STAGES; rules without jobs are left out."""
    parts = {rule: [jobs for jobs in plan if jobs.rule == rule] for rules in STAGES.values() for rule in rules}
    return {rule: summed(part) for rule, part in parts.items() if part}


def rows_of(plan: Sequence[Jobs]) -> list[tuple]:
    """The plan as a table, in COLUMNS."""
    stage_of = {rule: stage for stage, rules in STAGES.items() for rule in rules}
    return [
        (rule, stage_of[rule], row.jobs, row.images, row.core_hours, row.gpu_hours, row.files, row.written)
        for rule, row in by_rule(plan).items()
    ]


def table(plan: Sequence[Jobs]) -> str:
    """A line a rule below a line a stage, and one for all."""
    rows = by_rule(plan)
    lines: list[tuple[str, ...]] = [HEADER]
    for stage, rules in STAGES.items():
        part = [jobs for jobs in plan if jobs.rule in rules]
        if part:
            lines.append(shown(stage, summed(part), images=False))
            lines += [shown(f"  {rule}", rows[rule]) for rule in rules if rule in rows]
    lines.append(shown("total", summed(plan), images=False))
    return aligned(lines)


def shown(name: str, row: Row, *, images: bool = True) -> tuple[str, ...]:
    """A line's cells; sums over rules would count an image once for each rule that works on it."""
    count = f"{row.images:,}" if images and row.images else ""
    gpu_hours = hours(row.gpu_hours) if row.gpu_hours else ""
    return (name, f"{row.jobs:,}", count, hours(row.core_hours), gpu_hours, f"{row.files:,}", size(row.written))


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells below each other, the first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def size(count: float) -> str:
    """Bytes in words."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"


def totals(config: Config, plan: Sequence[Jobs], took: Course, machine: str) -> str:
    """What the whole study takes; machine: the processors and GPUs that the course is for, in words."""
    total, rows = summed(plan), by_rule(plan)
    fetched = [rows[rule] for rule in STAGES["downloads"] if rule in rows]
    downloads = f"{sum(row.files for row in fetched):,} files, about {size(sum(row.written for row in fetched))}"
    each = size(max((jobs.staged for jobs in plan), default=0.0))
    copied = f"{each} on a node, {size(took.staged)} at one time over all"
    staged = copied if config["stage_shards"] else "none (stage_shards: false)"
    lines = [
        ("wall time", f"{duration(took.seconds)} on {machine}, none of it in a queue"),
        ("GPU-hours", hours(total.gpu_hours) if total.gpu_hours else "none (gpus: 0)"),
        ("core-hours", hours(total.core_hours)),
        ("disk", f"{size(total.written)} in {total.files:,} files; {2 * total.jobs:,} of logs and timings, and one of"),
        ("", "Snakemake's notes for each file and folder that a rule makes"),
        (
            "peak scratch",
            f"{size(took.checkpoints)} of checkpoints, two generations a run; {size(took.drafts)} of drafts",
        ),
        ("staged shards", staged),
        ("downloads", downloads if fetched else "none"),
    ]
    return "\n".join(f"{name:<13}  {value}" for name, value in lines)


def assumptions(config: Config, plan: Sequence[Jobs], known: Known, start: float) -> list[str]:
    """Everything that the numbers rest on, a sentence each."""
    found = [*image_assumptions(config, known)]
    found += reasons(plan)
    patient = sorted(
        {
            epochs_of(config, m, r)
            for m in config["models"]
            for r in config["regimes"]
            if recipe_in(config, m, r)["patience"]
        }
    )
    if patient:
        found.append(f"training: at most {' or '.join(map(str, patient))} epochs; `patience` may end a run earlier")
    if any(recipe_in(config, m, r)["ranks"] > 1 for m in config["models"] for r in config["regimes"]):
        found.append("training: ranks share the work without loss")
    found.append("core-hours: of the cores that jobs ask for, those beside a GPU, too")
    found.append(f"jobs: {start:g} s of the scheduler to start one; 5 s until torch is imported, 0.7 s without torch")
    found.append("wall time: profiles/slurm notices the end of a job after a second to three minutes, not counted here")
    if runs := [jobs for jobs in plan if jobs.rule == "train"]:
        longest = max(runs, key=lambda jobs: jobs.seconds)
        found.append(f"training: {' '.join(longest.key[1:])} is the longest run, {duration(longest.seconds)}")
    found.append("sizes: of photographs with sides of 4 to 3, of the demo's stylized images, of weights in float32")
    return found


def reasons(plan: Sequence[Jobs]) -> list[str]:
    """What the plan's costs rest on, a sentence for all that share a reason."""
    names: dict[tuple[str, str], list[str]] = {}
    for basis in dict.fromkeys(jobs.basis for jobs in plan if jobs.basis):
        names.setdefault((basis.work, basis.reason), []).append(basis.name)
    return [f"{work} {', '.join(who)}: {reason}" for (work, reason), who in names.items()]


def image_assumptions(config: Config, known: Known) -> list[str]:
    """How many images there are, where that is not in the config."""
    found = []
    for name, entry in config["sources"].items():
        key = f"sources.{name}"
        if entry["kind"] == "imagefolder":
            counted = f"{known.found[key]} classes are there" if key in known.found else "207 classes assumed"
            found.append(f"{key}: {counted}{'' if key in known.found else ', the folder is not there'}")
        if "all" in entry.get("per_class", {}).values():
            found.append(f"{key}: 1,300 images a class assumed where per_class says all")
    for name, entry in config["styles"].items():
        if "folder" in entry:
            key, there = f"styles.{name}", known.found.get(f"styles.{name}")
            found.append(
                f"{key}: {there:,} images are there"
                if there
                else f"{key}: {PAINTINGS:,} images assumed, as Painter by Numbers has; the folder is not there"
            )
    unseen = [n for n, e in config["benchmarks"].items() if "folder" in e and f"benchmarks.{n}" not in known.found]
    if unseen:
        found.append(f"benchmarks {', '.join(unseen)}: as many images as were published")
    return found


def comparison(plan: Sequence[Jobs], taken: Mapping[str, Sequence[float]]) -> tuple[str, float]:
    """Planned and taken seconds of each rule, and how many times as long as planned all took.

    taken: rule → seconds of each of its jobs that has run, of one rule of the plan at least. Of a rule that has run in
    part, so many jobs of the plan's mean are compared.
    """
    lines: list[tuple[str, ...]] = [("", "jobs", "of", "planned s", "taken s", "taken / planned")]
    sums, ran = [0.0, 0.0], 0
    for rules in STAGES.values():
        for rule in rules:
            part = [jobs for jobs in plan if jobs.rule == rule]
            if not part or rule not in taken:
                continue
            count, seconds = sum(jobs.count for jobs in part), taken[rule]
            expected = sum(jobs.count * jobs.seconds for jobs in part) / count * len(seconds)
            lines.append(compared(rule, len(seconds), count, expected, sum(seconds)))
            sums, ran = [sums[0] + expected, sums[1] + sum(seconds)], ran + len(seconds)
    lines.append(compared("total", ran, sum(jobs.count for jobs in plan), *sums))
    return aligned(lines), sums[1] / sums[0]


def compared(name: str, ran: int, count: int, planned: float, took: float) -> tuple[str, ...]:
    return (name, f"{ran:,}", f"{count:,}", f"{planned:,.0f}", f"{took:,.0f}", f"{took / max(planned, 1e-9):.2f}")
