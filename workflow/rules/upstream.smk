# Workarounds for bugs of Snakemake 9.27: docs/upstream.md.

import contextlib
import logging
import threading

import snakemake
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.scheduling.job_scheduler import JobScheduler

# "On a full disk, each message is followed by a traceback": Snakemake also writes its messages to .snakemake/log.
logging.raiseExceptions = False

if snakemake.__version__.startswith("9.27."):
    exit_gracefully, execute, cancel = JobScheduler.exit_gracefully, workflow.execute, LocalExecutor.cancel

    # "SIGTERM hangs a process for ever while it waits for outputs": the signal handler waits for the scheduler's lock,
    # which its own thread holds. Another thread therefore does its work.
    def exit_in_a_thread(scheduler, *_):
        threading.Thread(target=exit_gracefully, args=[scheduler], daemon=True).start()

    # "A job that starts just after Ctrl-C runs to its end": it fails at once instead.
    def cancel_and_start_none(executor):
        shell.executable("false")
        cancel(executor)

    # "A job whose inputs do not appear ends with status 0."
    def execute_or_fail(*args, **kwargs):
        if execute(*args, **kwargs) is False:
            raise WorkflowError("The job cannot start without these files: do its nodes see them?")

    # "A disk that fails ends a run with tracebacks." This is no function like the one above, which would be named as the
    # place of every WorkflowError.
    @contextlib.contextmanager
    def disk_errors_in_one_line():
        try:
            yield
        except OSError as error:
            raise WorkflowError(f"{error.strerror or error}: {error.filename or os.getcwd()}")

    JobScheduler.exit_gracefully, LocalExecutor.cancel = exit_in_a_thread, cancel_and_start_none
    workflow.execute = execute_or_fail if workflow.remote_exec else disk_errors_in_one_line()(execute)
