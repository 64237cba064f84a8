# What is looked at once, before the first job: what is missing, what the cluster would refuse, what an earlier start left.

import getpass
import glob
import shutil
import socket
import subprocess

import psutil

from shapebias import slurm

OWNER = ".snakemake/owner.json"  # of the locks: the last start of this workflow in this folder
CHECKPOINT_MINUTES = 10  # scripts/train.py's own


def ended(owner):
    """Whether the process that held the locks was one of this machine, and is no more."""
    if owner["host"] != socket.gethostname():
        return False
    try:
        return psutil.Process(owner["pid"]).create_time() != owner["started"]
    except psutil.NoSuchProcess:
        return True


def forget_locks():
    """Remove the locks that a killed Snakemake left behind; those of another machine are for people to judge."""
    locks = glob.glob(".snakemake/locks/*.lock")
    if locks and os.path.exists(OWNER):
        with open(OWNER) as file:
            owner = json.load(file)
        if ended(owner):
            logger.warning(f"Process {owner['pid']} was killed before it could unlock this folder: unlocked.")
            for path in locks:
                os.remove(path)


def own_locks():
    process = psutil.Process()
    with open(OWNER, "w") as file:
        json.dump({"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()}, file)


def cancel_left_behind():
    """End the jobs of an earlier start that was killed: this one starts them again, and two would write one file."""
    jobs = slurm.jobs_in(os.getcwd(), getpass.getuser())
    if jobs:
        logger.warning(f"Jobs {', '.join(jobs)} were left behind by an earlier start: cancelled, and started again.")
        if left := slurm.cancel(jobs):
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
    here, user, kinds = slurm.partitions_here(), getpass.getuser(), requests()
    problems = []
    for request, job in kinds.items():
        words = {
            "run_uuid": "test",
            "slurm_logfile": "test.log",
            "comment_str": "",
            "account": f"-A {shlex.quote(request.account)}" if request.account else "",
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


if workflow.is_main_process:
    forget_locks()


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError(MISSING[0])
    own_locks()
    if workflow.executor_plugin.name == "slurm":
        cancel_left_behind()
        refuse_what_the_cluster_refuses()
