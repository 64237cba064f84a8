# A fault of Snakemake itself, mended in the jobs of a cluster until Snakemake mends it: docs/upstream.md.

import threading

import snakemake
from snakemake.scheduling.job_scheduler import JobScheduler

# "SIGTERM hangs a job for ever: the handler JobScheduler.exit_gracefully waits for the scheduler's lock, which its own
# thread holds while it waits for the outputs of a job." The handler's work is left to another thread.
if workflow.remote_exec and snakemake.__version__.startswith("9.27."):
    exit_gracefully = JobScheduler.exit_gracefully

    def exit_in_a_thread(scheduler, *_):
        threading.Thread(target=exit_gracefully, args=[scheduler], daemon=True).start()

    JobScheduler.exit_gracefully = exit_in_a_thread
