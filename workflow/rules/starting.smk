# What is looked at once, before the first job: what is missing, what the cluster would refuse, what an earlier start left.

import getpass
import glob
import shutil
import socket
import subprocess
from pathlib import Path

import psutil

from shapebias.errors import UserError

STARTS = ".snakemake/starts"  # a record for each start of this workflow in this folder, until the next one has seen it
CHECKPOINT_MINUTES = 10  # scripts/train.py's own


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
    path = Path(STARTS) / f"{record['host']}-{process.pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record | {"run": run}))
    partial.replace(path)


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


def requests():
    """Each kind of job that is to be submitted: what is asked for, and one such job."""
    kinds = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            asks = job.resources.get
            kinds[
                slurm.Request(
                    job.rule.name,
                    *(
                        str(asks(key) or "")
                        for key in ("slurm_partition", "slurm_account", "qos", "constraint", "gres")
                    ),
                    asks("nodes") or 1,
                    asks("tasks_per_node") or 1,
                    asks("cpus_per_task") or job.threads,
                    asks("mem_mb") or 0,
                    asks("runtime") or 0,
                )
            ] = job
    return kinds


def refuse_what_the_cluster_refuses():
    """Ask sbatch about each kind of job before there is one, in the very words of the executor."""
    if shutil.which("sbatch") is None:
        raise WorkflowError(
            "no sbatch on this machine: profiles/slurm submits from a login node of a cluster (`module load slurm` on "
            "some); without a cluster, use profiles/local"
        )
    here, user, kinds = partitions(), getpass.getuser(), requests()
    problems = []
    for request, job in kinds.items():
        words = {
            "run_uuid": "test",
            "slurm_logfile": "test.log",
            "comment_str": "",
            "account": next(charging_as_asked(None, job)),
            "partition": f"-p {shlex.quote(request.partition)}" if request.partition else "",
            "workdir": os.getcwd(),
        }
        call = PLUGIN.get_submit_command(job, words, settings=workflow.executor_settings) + PLUGIN.set_gres_string(job)
        done = subprocess.run(f"{call} --test-only --wrap true", shell=True, text=True, capture_output=True)
        if done.returncode:
            problems.append(slurm.refusal(request, done.stderr, here, user))
        elif problem := slurm.too_long(request, here):
            problems.append(problem)
    if problems:
        raise WorkflowError("The cluster refuses:\n" + "\n".join(f"- {text}" for text in dict.fromkeys(problems)))
    logger.info(f"sbatch takes all jobs: {len(kinds)} kinds, of {len({r.rule for r in kinds})} rules.")
    short = {request.minutes for request in kinds if request.rule == "train"}
    for minutes_each in sorted(short):
        if 0 < minutes_each <= CHECKPOINT_MINUTES:
            logger.warning(
                f"train's runtime of {minutes_each} minutes ends before its first checkpoint, at {CHECKPOINT_MINUTES} "
                "minutes or an epoch. It leaves one when its time is up, and is started again, but no more often than "
                "`retries` says; set-resources, `train: runtime=60`, say, in the profile."
            )


# Seen before this start takes its own locks, and before the executor forgets that it runs in a job itself.
OWN_JOB = os.environ.get("SLURM_JOB_ID")
FORMER = former_starts() if workflow.is_main_process else {}


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError(MISSING[0])
    if workflow.executor_plugin.name == "slurm":
        try:
            cancel_left_behind()
        except UserError as error:
            raise WorkflowError(f"{error}; start again when it does")
        without_accounting()
        refuse_what_the_cluster_refuses()
    for path in FORMER:
        Path(path).unlink(missing_ok=True)
    record_start()
