# Faults of the executor, snakemake-executor-plugin-slurm 2.8, which would leave a study waiting for ever, or mislead.

from itertools import groupby

# Loaded by Snakemake itself, in whichever process submits.
PLUGIN = sys.modules.get("snakemake_executor_plugin_slurm")


def waiting_for_none(dag, name):
    """It waits for more jobs of one kind before it submits an array, but forgets those that it has (its issue 473)."""
    return 0


def submitting_alike(submit_array):
    """An array has the resources of its first job: one array for each kind, and a retry with more memory stands alone."""

    def asked(job):
        return repr(sorted((name, value) for name, value in job.resources.items() if name != "tmpdir"))

    def submit(executor, jobs):
        for _, alike in groupby(sorted(jobs, key=asked), key=asked):
            alike = list(alike)
            if len(alike) == 1:
                executor._submit_job(alike[0])
            else:
                submit_array(executor, alike)

    return submit


def with_its_log(submitted):
    """The logs of an array lie in the folder of the rule, not in one of each job's wildcards, where they are looked for."""

    def with_log(executor, job):
        path = job.aux["slurm_logfile"]
        if "_" in job.external_jobid and job.job.wildcards:
            job.aux["slurm_logfile"] = path.parent.parent / path.name
        submitted(executor, job)

    return with_log


def knowing_the_ends(query):
    """Jobs that are cancelled (`CANCELLED by 1000`) or preempted are at their end: Slurm may not queue them again."""

    async def ask(*args):
        states, seconds = await query(*args)
        if states:
            words = {job: state.split()[0] for job, state in states.items() if state}
            states = {job: "CANCELLED" if word == "PREEMPTED" else word for job, word in words.items()}
        return states, seconds

    return ask


def asking_what_nodes_see(failed):
    """A job of which no log came back most likely ran where this folder is not."""

    def report_failure(executor, job, msg=None, **more):
        path = (job.aux or {}).get("slurm_logfile")
        if path and not path.exists():
            msg = (
                f"{msg or 'It failed.'} No log of it came back: do the nodes see {os.getcwd()}? Work in a folder of a "
            )
            msg += "file system that all nodes mount, not on this machine's own disk."
        failed(executor, job, msg=msg, **more)

    return report_failure


if PLUGIN and workflow.is_main_process:
    PLUGIN.pending_jobs_for_rule = waiting_for_none
    PLUGIN.query_job_status = knowing_the_ends(PLUGIN.query_job_status)
    PLUGIN.Executor.report_job_error = asking_what_nodes_see(PLUGIN.Executor.report_job_error)
    PLUGIN.Executor._submit_array_jobs = submitting_alike(PLUGIN.Executor._submit_array_jobs)
    PLUGIN.Executor._report_job_submission_threadsafe = with_its_log(PLUGIN.Executor._report_job_submission_threadsafe)
