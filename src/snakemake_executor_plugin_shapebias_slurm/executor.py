"""Snakemake's slurm executor, made robust: it survives a busy controller, lost replies and being killed.

It checks short jobs often. Each job is one sbatch call; `group-components` reduces the number of calls.
"""

import asyncio
import contextlib
import shlex
import shutil
import subprocess
import threading
import time
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import get_job_wildcards, set_gres_string
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from shapebias.cluster import partitions, sessions
from shapebias.cluster.queue import FAILED, JobStates
from shapebias.cluster.submission import RETRYABLE, submit
from shapebias.errors import UserError

# The versions that were tested on a real cluster; pyproject.toml has the same.
VERSIONS = {"snakemake": ">=9.27,<9.28", "snakemake-executor-plugin-slurm": ">=2.8,<2.9"}
CONFIG_REFUSED = ("78:0", str(78 << 8))  # EX_CONFIG of sysexits.h: the job cannot read its config
NODES = "--format=%12P %11l %5D %8T %4c %8m %24G %f"  # partition, time, nodes: state, CPUs, MB, GPUs, features
ADVICE = """Change the jobs' resources in the profile (default-resources for all rules, set-resources for one), or
change `gpus`, `ranks` or `nodes` in the config. `sacctmgr show assoc user=$USER` lists your accounts and their QOS."""


def poll_interval(running: float, quiet: float, active: int) -> float:
    """Return the seconds until the next query: one at first, a minute after an hour, three minutes in a quiet run.

    running: seconds since the run's start. quiet: seconds since a job was last submitted or ended.
    active: number of active jobs.
    """
    return max(min(70, 1 + running / 60 + active / 50), min(180, quiet / 4))


class Executor(SlurmExecutor):
    logger: Any

    def __init__(self, workflow: Any, logger: Any) -> None:
        for package, versions in VERSIONS.items():
            if version(package) not in SpecifierSet(versions):
                raise WorkflowError(
                    f"executor shapebias-slurm supports {package} {versions}, not {version(package)}: "
                    "install a supported version"
                )
        if shutil.which("sbatch") is None:
            raise WorkflowError(
                "no sbatch on this machine: profiles/slurm submits from a cluster's login node (some need `module load "
                "slurm`); without a cluster, use profiles/local"
            )
        self.leaving, self.cancelled = threading.Event(), False
        self.session: sessions.Session | None = None  # the parent class starts its thread before the session begins
        try:
            if jobs := sessions.cancel_orphaned_jobs():
                logger.warning(f"Cancelled jobs {', '.join(jobs)}, which an earlier run left behind.")
        except UserError as error:
            raise WorkflowError(str(error)) from None
        super().__init__(workflow, logger)

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self.session = sessions.begin_session(self.run_uuid)
        self.states = JobStates(self.run_uuid)
        self.started = self.changed = time.monotonic()
        try:
            self.check_jobs_with_sbatch()
        except WorkflowError:
            self.wait = False  # ends the parent's thread
            self.leaving.set()
            raise

    @cached_property
    def limits(self) -> dict[str, dict[str, float]]:
        return partitions.list_limits()

    def check_jobs_with_sbatch(self) -> None:
        """Test each kind of job with `sbatch --test-only` before submitting any; raise WorkflowError on a refusal."""
        jobs = [job for job in self.dag.needrun_jobs() if not job.is_local]
        kinds = {tuple(self.sbatch(job, job.rule.name, Path("/dev/null"))): job for job in jobs}
        problems: dict[str, list[tuple[str, str]]] = {}  # refusal → rule and sbatch call of each kind of job
        for call, job in kinds.items():
            done = subprocess.run([*call, "--test-only", "--wrap=true"], text=True, capture_output=True, check=False)
            error = " ".join(done.stderr.split())
            if done.returncode and RETRYABLE.search(error):
                self.logger.warning(f"{error} - jobs are submitted unchecked")
                break
            if refusal := error if done.returncode else self.time_limit_problem(job):
                problems.setdefault(refusal, []).append((job.rule.name, shlex.join(call)))
        if problems:
            nodes = subprocess.run(["sinfo", NODES], text=True, capture_output=True, check=False).stdout
            lines = [
                f"- {refusal}: rules {', '.join(sorted(dict(rules_and_calls)))}\n  {rules_and_calls[0][1]}"
                for refusal, rules_and_calls in problems.items()
            ]
            raise WorkflowError("\n".join(["The cluster refuses:", *lines, nodes, ADVICE]))
        if kinds:
            rules = {job.rule.name for job in kinds.values()}
            self.logger.info(f"sbatch accepts all jobs: {len(kinds)} kinds of {len(rules)} rules.")

    def time_limit_problem(self, job: JobExecutorInterface) -> str:
        """Return an error if the job's time limit exceeds the partition's, else "": Slurm lets it wait forever."""
        minutes, partition = int(job.resources.get("runtime") or 0), str(job.resources.get("slurm_partition") or "")
        limit = partitions.cap(minutes, "runtime", partition, self.limits)
        return f"it requests {minutes} minutes, the partition allows {limit}" if limit < minutes else ""

    def sbatch(self, job: JobExecutorInterface, comment: str, log: Path) -> list[str]:
        """Return the sbatch call for a job; sbatch reads the script from its standard input."""
        values = {"run_uuid": self.run_uuid, "slurm_logfile": log, "comment_str": comment}
        # If unset, Slurm uses the user's default. The parent class would query Slurm or guess for each job.
        for value, option in (("account", "-A"), ("partition", "-p")):
            name = job.resources.get(f"slurm_{value}")
            values[value] = f" {option} {shlex.quote(str(name))}" if name else ""
        values["workdir"] = self.workflow.workdir_init
        call = get_submit_command(job, values, settings=self.executor_settings)
        gres = str(job.resources.get("gres") or "")
        # The parent class rejects GPU models with a hyphen, but Slurm detects such names: nvidia_a100-sxm4-40gb.
        return shlex.split(call + (f" --gres={shlex.quote(gres)}" if "-" in gres else set_gres_string(job)))

    def additional_general_args(self) -> str:
        """Return options for Snakemake inside the job: a killed job must keep its output files.

        Another attempt on another node may have rewritten them since. The submitting process removes the outputs of
        jobs that it counts as failed.
        """
        return "--keep-incomplete"

    def get_python_executable(self) -> str:
        """Return the interpreter's path, quoted: a folder's name may contain a space."""
        return shlex.quote(super().get_python_executable())

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit a job; runs in its own thread, since submission waits while the cluster is busy."""
        if self.leaving.is_set():  # after Ctrl-C
            return
        wildcards, kind = get_job_wildcards(job), "group" if job.is_group() else "rule"
        log = self.slurm_logdir / f"{kind}_{job.name}" / wildcards / "%j.log"
        comment = "_".join(filter(None, [kind, job.name, wildcards, f"{job.jobid}.{job.attempt}"]))
        try:
            if problem := self.time_limit_problem(job):  # of a group, or of a set-resources expression of the attempt
                raise WorkflowError(problem)
            log.parent.mkdir(parents=True, exist_ok=True)
            # The shell ignores SIGTERM, or Slurm would kill a training that is still writing its checkpoint.
            script = f"#!/bin/sh\ntrap : TERM\n{self.format_job_exec(job)}\n"
            job_id = submit(
                self.sbatch(job, comment, log),
                script,
                name=self.run_uuid,
                comment=comment,
                leaving=self.leaving,
                warn=self.logger.warning,
            )
        except Exception as error:  # an exception would otherwise vanish with this thread
            self.report_job_error(SubmittedJobInfo(job), msg=f"It was not submitted: {error}. ")
            return
        log, self.changed = log.with_name(f"{job_id}.log"), time.monotonic()
        self.logger.info(f"Job {job.jobid} has been submitted with SLURM jobid {job_id} (log: {log}).")
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=job_id, aux={"slurm_logfile": log}))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> Any:
        """Query all jobs at once, report the ended ones, and yield the jobs that are still active."""
        self.next_seconds_between_status_checks, active, states = 1, len(active_jobs), {}
        if self.session:
            self.session.give_sign_of_life()
        if active_jobs and not self.leaving.is_set():
            try:
                states = await asyncio.to_thread(self.states.query, [str(job.external_jobid) for job in active_jobs])
            except (UserError, OSError, ValueError) as error:
                self.logger.warning(f"{error} - will retry at the next check")
        for job in active_jobs:
            state, status = states.get(str(job.external_jobid), ("", ""))
            log: Path = (job.aux or {})["slurm_logfile"]
            if status in CONFIG_REFUSED:
                self.cancel_jobs(active_jobs)
                raise WorkflowError(f"Jobs cannot read this study's config; the reason is in {log}")
            if state == "COMPLETED":
                with contextlib.suppress(OSError):
                    log.unlink(missing_ok=True)
                self.report_job_success(job)
            elif state in FAILED:
                message = f"Slurm job {job.external_jobid} ended as {state}. "
                if state == "FAILED" and not log.exists():
                    message += f"It left no log: can the nodes see {Path.cwd()}? Work in a folder that all nodes see. "
                self.report_job_error(job, msg=message, aux_logs=[str(log)])
            else:
                yield job
                continue
            self.changed, active = time.monotonic(), active - 1
        if active:
            now = time.monotonic()
            self.next_seconds_between_status_checks = poll_interval(now - self.started, now - self.changed, active)

    async def sleep(self) -> None:
        await asyncio.to_thread(self.leaving.wait, self.next_seconds_between_status_checks)
        await asyncio.sleep(0.1)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        self.leaving.set()
        self.cancelled = True
        subprocess.run(["scancel", "--name", self.run_uuid], capture_output=True, check=False)

    def shutdown(self) -> None:
        self.leaving.set()
        super().shutdown()  # waits for submissions under way
        if self.cancelled:
            self.cancel_jobs([])
