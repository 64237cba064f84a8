# What is looked at once, before the first job: what is missing, and what an earlier start left.

import glob
import shutil
import socket
from pathlib import Path

import psutil

from shapebias.errors import UserError
from shapebias.files import replacing

STARTS = ".snakemake/starts"  # a record for each start of this workflow in this folder, until the next one has seen it


def start_records():
    """File → where a start ran, as which process or job of the cluster, and the name of the jobs that it submitted."""
    return {path: json.loads(Path(path).read_text()) for path in sorted(glob.glob(f"{STARTS}/*.json"))}


def has_ended(start):
    """Whether it is no more; None where that cannot be told from here."""
    if start["job"] and shutil.which("squeue"):
        try:
            return not slurm_jobs.queued("--jobs", start["job"])
        except UserError:
            return None
    if start["host"] != socket.gethostname():
        return None
    try:
        # The clock may have been set since.
        return abs(psutil.Process(start["pid"]).create_time() - start["started"]) > 60
    except psutil.NoSuchProcess:
        return True


def former_starts():
    """The records of starts that have ended: of others, too, where no lock is left, which a running one always has.
    Their locks are removed where no other start may hold one; those of another machine are for people to judge.
    """
    locks, records = glob.glob(".snakemake/locks/*.lock"), start_records()
    ends = {path: has_ended(start) for path, start in records.items()}
    if locks and records and all(ends.values()):
        logger.warning("Snakemake was killed before it could unlock this folder: unlocked.")
        for path in locks:
            os.remove(path)
    return {path: records[path] for path, end in ends.items() if end or (end is None and not locks)}


def record_start():
    process = psutil.Process()
    record = {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time(), "job": OWN_JOB}
    run = getattr(workflow.scheduler._executor, "run_uuid", None)
    with replacing(Path(STARTS) / f"{record['host']}-{process.pid}.json") as draft:
        draft.write_text(json.dumps(record | {"run": run}))


def cancel_left_behind():
    """End the jobs of earlier starts that were killed: this one starts them again, and two would write one file. No other
    job is touched, wherever it runs.
    """
    runs = [start["run"] for start in FORMER.values() if start["run"]]
    jobs = slurm_jobs.queued("--name", ",".join(runs)) if runs else []
    if jobs:
        logger.warning(f"Jobs {', '.join(jobs)} were left behind by an earlier start: cancelled, and started again.")
        if left := slurm_jobs.cancel(jobs):
            raise WorkflowError(f"jobs {', '.join(left)} do not end; wait for `squeue` to be empty and start again")


def after_the_end_of_others(build_dag):
    """What there is can be seen when the jobs of earlier starts are gone: one that is ended takes away what it wrote, even
    where that was complete.
    """

    def build():
        if workflow.executor_plugin and workflow.executor_plugin.name == "slurm":
            try:
                cancel_left_behind()
            except UserError as error:
                raise WorkflowError(f"{error}; start again when it does")
        build_dag()

    return build


def refuse_lost_shards():
    """A list of checksums stands for its shards, so that nothing else would notice that one is gone."""
    jobs = list(workflow.dag.needrun_jobs())
    made = {str(path) for job in jobs for path in job.output}
    lists = {path for job in jobs for path in map(str, job.input) if os.path.basename(path) == CHECKSUMS} - made
    for path in sorted(lists):
        listed = [line.split(maxsplit=1)[1] for line in Path(path).read_text().splitlines()]
        gone = [shard for name in listed if not (shard := Path(path).parent / name).exists()]
        if gone:
            named = f"{' '.join(map(str, gone[:3]))}{' …' if len(gone) > 3 else ''}"
            raise WorkflowError(
                f"{len(gone)} of the shards that {path} lists are gone ({named}): `snakemake … "
                f"{'images' if path.startswith('results/images/') else named}`, by itself, makes them again; where they "
                "come out the same, nothing is trained anew"
            )


# Seen before this start takes its own locks, and before the executor forgets that it runs in a job itself.
OWN_JOB = os.environ.get("SLURM_JOB_ID")
FORMER = former_starts() if workflow.is_main_process else {}
if workflow.is_main_process:
    workflow._build_dag = after_the_end_of_others(workflow._build_dag)


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError(MISSING[0])
    refuse_lost_shards()
    if workflow.executor_plugin.name == "slurm":
        without_accounting()
        refuse_what_the_cluster_refuses()
    for path in FORMER:
        Path(path).unlink(missing_ok=True)
    record_start()
