# Faults of Snakemake itself, mended here until Snakemake mends them: docs/upstream.md.

import threading

import snakemake
from snakemake.scheduling.job_scheduler import JobScheduler

if snakemake.__version__.startswith("9.27."):
    exit_gracefully, execute = JobScheduler.exit_gracefully, workflow.execute

    # "SIGTERM hangs a process for ever while it waits for outputs": the handler waits for the scheduler's lock, which its
    # own thread holds. Its work is left to another thread.
    def exit_in_a_thread(scheduler, *_):
        threading.Thread(target=exit_gracefully, args=[scheduler], daemon=True).start()

    # "A job whose inputs do not appear ends with status 0."
    def execute_or_fail(*args, **kwargs):
        if execute(*args, **kwargs) is False:
            raise WorkflowError("The job cannot begin without these files: do its nodes see them?")

    JobScheduler.exit_gracefully = exit_in_a_thread
    if workflow.remote_exec:
        workflow.execute = execute_or_fail
