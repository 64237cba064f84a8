# What a cluster would refuse, or end too early: said before the first job, with the setting to change.

import getpass
import shutil
import subprocess

CHECKPOINT_MINUTES = 10  # scripts/train.py's own


def trainings_that_may_not_end():
    """Warnings where all attempts together end before a run is expected to, one for the longest run of each limit."""
    longest = {}
    for job in workflow.dag.needrun_jobs():
        if job.rule.name == "train" and job.resources.get("runtime"):
            run = (job.wildcards.model, job.wildcards.regime)
            limit = (1 + job.restart_times, job.resources.runtime)
            longest[limit] = max(longest.get(limit, (0, run)), (training_seconds(config, *run, KNOWN) / 3600, run))
    return [
        f"Training {' '.join(run)} may take {expected:.0f} hours; {attempts} attempts of {each} minutes are fewer. Raise "
        "`retries`, or train's runtime in set-resources, in the profile (`make plan` says what this rests on, and "
        "`throughputs` in the config corrects it)."
        for (attempts, each), (expected, run) in longest.items()
        if 60 * expected > attempts * each
    ]


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
    for text in trainings_that_may_not_end():
        logger.warning(text)
    short = {request.minutes for request in kinds if request.rule == "train"}
    for minutes_each in sorted(short):
        if 0 < minutes_each <= CHECKPOINT_MINUTES:
            logger.warning(
                f"train's runtime of {minutes_each} minutes ends before its first checkpoint, at {CHECKPOINT_MINUTES} "
                "minutes or an epoch. It leaves one when its time is up, and is started again, but no more often than "
                "`retries` says; set-resources, `train: runtime=60`, say, in the profile."
            )
