# What is looked at once, before the first job: what is missing, and what an earlier start left.

import atexit
import glob
import hashlib
from dataclasses import replace
from pathlib import Path

import yaml

from shapebias import starts
from shapebias.calls import preceded
from shapebias.errors import UserError
from shapebias.files import replacing


def locks():
    return glob.glob(".snakemake/locks/*.lock")


def remove_dead_locks():
    """Those of another machine are for people to judge."""
    held, known = locks(), starts.recorded()
    if held and known and all(start.has_ended() for start in known):
        logger.warning("Snakemake was killed before it could unlock this folder: unlocked.")
        for path in held:
            Path(path).unlink(missing_ok=True)


def end_what_was_left_behind():
    """End the jobs of earlier starts that were killed: this one starts them again, and two would write one file. No other
    job is touched, wherever it runs.
    """
    slurm, over = workflow.executor_plugin.name == "slurm", []
    for start in starts.recorded():
        ended, silent = start.has_ended(), OWN.seen - start.seen
        # Snakemake that ends removes the locks of all in a folder: that there is none does not say that none runs.
        if ended is None and not locks():
            ended = silent > starts.SILENCE
            if slurm and start.run and not ended:
                raise WorkflowError(
                    f"Snakemake ({start}) gave a sign of life {silent / 60:.0f} minutes ago, and two at once would write "
                    f"the same files. If it was killed, wait, or say so by `touch -d yesterday {start.path}`, and start again"
                )
        if ended and (slurm or not start.run):
            over.append(start)
    if slurm:
        cancel_left_behind([start.run for start in over if start.run])
    for start in over:
        start.remove()


def cancel_left_behind(runs):
    jobs = slurm_jobs.queued("--name", ",".join(runs)) if runs else []
    if jobs:
        logger.warning(f"Jobs {', '.join(jobs)} were left behind by an earlier start: cancelled, and started again.")
        if left := slurm_jobs.cancel(jobs):
            raise WorkflowError(f"jobs {', '.join(left)} do not end; wait for `squeue` to be empty and start again")


def begin():
    """Before Snakemake looks at what there is: a job of an earlier start that is ended may take away what it wrote, even
    where that was complete.
    """
    # It also looks for reports, summaries and dry runs.
    if workflow.executor_plugin and workflow.executor_plugin.name not in ("dryrun", "touch"):
        OWN.write()
        atexit.register(forget_this_start)
        try:
            end_what_was_left_behind()
        except UserError as error:
            raise WorkflowError(f"{error}; start again when it does")


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


def fix_the_config_of_jobs():
    """Give jobs a copy of the study's config, `--config` included. Each job reads its config when it starts, so an
    edit meanwhile would make it a job of another study.
    """
    text = yaml.safe_dump(STUDY, sort_keys=False)
    path = Path(".snakemake/studies") / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
    with replacing(path) as draft:
        draft.write_text(text)
    workflow.config_settings.configfiles = [path.absolute()]
    workflow.config_settings.config_args = []


def giving_signs_of_life(check):
    async def check_active_jobs(executor, jobs):
        OWN.live()
        async for job in check(executor, jobs):
            yield job

    return check_active_jobs


def forget_this_start():
    """At its end, however it ends, but for jobs that are still in the queue, or may be."""
    run = getattr(workflow.scheduler and workflow.scheduler._executor, "run_uuid", None)
    try:
        left = run and slurm_jobs.queued("--name", run)
    except UserError:
        left = [run]
    if not left:
        OWN.remove()


OWN = starts.own()
if workflow.is_main_process:
    remove_dead_locks()
    workflow._build_dag = preceded(workflow._build_dag, begin)
    if PLUGIN:
        PLUGIN.Executor.check_active_jobs = giving_signs_of_life(PLUGIN.Executor.check_active_jobs)


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError(MISSING[0])
    refuse_lost_shards()
    fix_the_config_of_jobs()
    if workflow.executor_plugin.name == "slurm":
        without_accounting()
        refuse_what_the_cluster_refuses()
        replace(OWN, run=workflow.scheduler._executor.run_uuid).write()
