# Faults of the executor, snakemake-executor-plugin-slurm 2.8, and of Snakemake 9.27 in its jobs, which would leave a study
# waiting for ever, count jobs as ended or done that are not, or mislead.

import re
import subprocess
import zlib
from functools import cache
from itertools import groupby
from types import SimpleNamespace

from snakemake.scheduling.job_scheduler import JobScheduler

from shapebias import slurm, slurm_jobs
from shapebias.calls import judged, preceded
from shapebias.submission import Submission

# Loaded by Snakemake itself, in whichever process submits.
PLUGIN = sys.modules.get("snakemake_executor_plugin_slurm")
WATCH = slurm_jobs.Watch()
ACTIVE = []  # the numbers of the jobs that the executor asks about


@cache
def partitions():
    return slurm.partitions_here()


def waiting_for_none(dag, name):
    """It waits for more jobs of one kind before it submits an array, but forgets those that it has (its issue 473)."""
    return 0


def submitting_alike(submit_array):
    """An array has the resources of its first job: one array for each kind, and a retry with more memory stands alone.
    More tasks than fit into one argument would all run the first one's command.
    """

    def asked(job):
        return repr(sorted((name, value) for name, value in job.resources.items() if name != "tmpdir"))

    def length(executor, job):
        # In hexadecimal within base64, with a number.
        return 4 * (2 * len(zlib.compress(executor.format_job_exec(job).encode(), 9)) + 12) // 3

    def submit(executor, jobs):
        for _, alike in groupby(sorted(jobs, key=asked), key=asked):
            alike = list(alike)
            for array in slurm_jobs.arrays(alike, [length(executor, job) for job in alike]):
                if len(array) == 1:
                    executor._submit_job(array[0])
                else:
                    submit_array(executor, array)

    return submit


def with_its_log(submitted):
    """The logs of an array lie in the folder of the rule, not in one of each job's wildcards, where they are looked for."""

    def with_log(executor, job):
        path = job.aux["slurm_logfile"]
        if "_" in job.external_jobid and job.job.wildcards:
            job.aux["slurm_logfile"] = path.parent.parent / path.name
        submitted(executor, job)

    return with_log


def asking_sacct(query):
    """It asks for the numbers of single jobs, by which a task of an array is not known: all had the state of one of them.
    Lists of waiting tasks are not to be cut short.
    """
    return lambda run: f"env SLURM_BITSTR_LEN=0 {query(run).replace('JobIdRaw', 'JobID')}"


def asking_squeue(query):
    """A line for each task of an array."""
    return lambda run: f"{query(run)} --array"


def knowing_the_ends(query):
    """Jobs that are cancelled (`CANCELLED by 1000`) or preempted are at their end: Slurm may not queue them again; and so
    are those that nobody knows any more. A look that fails is a look at nothing: the executor would drop all jobs, and
    wait for ever.
    """

    async def ask(*args):
        told, seconds = await query(*args)
        try:
            seen = WATCH.look(told or {}, ACTIVE)
        except UserError as error:
            logger.warning(str(error))
            seen = {}
        return {job: slurm_jobs.ENDS.get(state, state) for job, state in seen.items()}, seconds or 0.0

    return ask


def noting_who_is_active(check):
    async def check_active_jobs(executor, jobs):
        ACTIVE[:] = [job.external_jobid for job in jobs]
        async for job in check(executor, jobs):
            yield job

    return check_active_jobs


def saying_why(failed):
    """The word that Slurm has for the end of a job; and one that ran and left no log ran where this folder is not."""

    def report_failure(executor, job, msg=None, **more):
        state, path = WATCH.states.get(job.external_jobid), (job.aux or {}).get("slurm_logfile")
        if state in slurm_jobs.ENDS:
            msg = (msg or "").replace(f"'{slurm_jobs.ENDS[state]}'", f"'{state}'")
        elif state != "CANCELLED" and path and not path.exists():
            msg = (
                f"{msg or 'It failed.'} No log of it came back: do the nodes see {os.getcwd()}? Work in a folder of a "
            )
            msg += "file system that all nodes mount, not on this machine's own disk."
        failed(executor, job, msg=msg, **more)

    return report_failure


def charging_as_asked(executor, job):
    """Without an account, Slurm charges the user's own default; it guesses that of the user's last job."""
    account = job.resources.get("slurm_account")
    yield f" -A {shlex.quote(str(account))}" if account else ""


def within_the_partition(command):
    """A retry asks for more time and memory, but for no more than there is."""

    def submit_command(job, *args, **more):
        call = command(job, *args, **more)
        if job.attempt > 1:
            name = str(job.resources.get("slurm_partition") or "")
            for option, most in (("-t", slurm.granted), ("--mem", slurm.largest)):
                value = lambda asked: f"{most(int(asked[0]), name, partitions()):.0f}"
                call = re.sub(rf"(?<= {option} )\d+", value, call)
        return call

    return submit_command


def naming_models(gres):
    """It takes no GPU model with a hyphen, as Slurm finds them by itself (`nvidia_a100-sxm4-40gb`)."""

    def gres_string(job):
        asked = str(job.resources.get("gres") or "")
        return f" --gres={shlex.quote(asked)}" if "-" in asked else gres(job)

    return gres_string


def keep_outputs():
    """A job that is ended removes what it has written, which another attempt may have written since, elsewhere: the job's
    node was lost, not its processes. Outputs appear whole or not at all, and whoever counts it as failed removes them.
    """
    workflow.execution_settings.keep_incomplete = True


def refuse_to_have_done_nothing(executed):
    """A job in which an input does not appear would end as if its work were done."""
    if executed is False:
        raise WorkflowError("The job cannot begin without these files: do its nodes see them?")


def without_accounting():
    """sacct is often installed where there is nothing that it could ask; but a database that is busy for a moment is no
    reason to do without it for weeks.
    """
    if not slurm_jobs.answers("sacct", "-X", "--noheader", "--clusters", "all", tries=3):
        logger.warning("sacct does not answer: squeue is asked what becomes of jobs.")
        workflow.executor_settings.status_command = "squeue"
        PLUGIN.is_query_tool_available = lambda tool: tool != "sacct"


if PLUGIN and workflow.is_main_process:
    PLUGIN.pending_jobs_for_rule = waiting_for_none
    PLUGIN.query_job_status_sacct = asking_sacct(PLUGIN.query_job_status_sacct)
    PLUGIN.query_job_status_squeue = asking_squeue(PLUGIN.query_job_status_squeue)
    PLUGIN.query_job_status = knowing_the_ends(PLUGIN.query_job_status)
    PLUGIN.get_submit_command = within_the_partition(PLUGIN.get_submit_command)
    PLUGIN.set_gres_string = naming_models(PLUGIN.set_gres_string)
    # Elsewhere in this module, it asks sacct.
    PLUGIN.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": Submission})
    Submission.warn = staticmethod(logger.warning)
    for leave in ("cancel_jobs", "shutdown"):
        setattr(PLUGIN.Executor, leave, preceded(getattr(PLUGIN.Executor, leave), Submission.leaving.set))
    PLUGIN.Executor.check_active_jobs = noting_who_is_active(PLUGIN.Executor.check_active_jobs)
    PLUGIN.Executor.get_account_arg = charging_as_asked
    PLUGIN.Executor.report_job_error = saying_why(PLUGIN.Executor.report_job_error)
    PLUGIN.Executor._submit_array_jobs = submitting_alike(PLUGIN.Executor._submit_array_jobs)
    PLUGIN.Executor._report_job_submission_threadsafe = with_its_log(PLUGIN.Executor._report_job_submission_threadsafe)
if not workflow.is_main_process:
    workflow.execute = judged(workflow.execute, refuse_to_have_done_nothing)
    JobScheduler.exit_gracefully = preceded(JobScheduler.exit_gracefully, keep_outputs)
