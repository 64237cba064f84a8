"""The slurm executor, patient: it survives a busy controller, lost answers and its own death, and looks often at jobs
that end soon. Jobs are single sbatch calls; `group-components` makes fewer of them.
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

# Those that the tests of a real cluster ran with; pyproject.toml has the same.
VERSIONS = {"snakemake": ">=9.27,<9.28", "snakemake-executor-plugin-slurm": ">=2.8,<2.9"}
CONFIG_REFUSED = ("78:0", str(78 << 8))  # EX_CONFIG of sysexits.h, by which a job says that it cannot read its config
NODES = "--format=%12P %11l %5D %8T %4c %8m %24G %f"  # partition, time, nodes: state, CPUs, MB, GPUs, features
ADVICE = """Change what they ask for in the profile (default-resources for all rules, set-resources for one), or `gpus`,
`ranks`, `nodes` in the config. `sacctmgr show assoc user=$USER` lists your accounts and their QOS."""


def poll_interval(running: float, quiet: float, active: int) -> float:
    """Seconds until the next question about so many active jobs: one at first, a minute after an hour, and three where
    nothing has changed for long. running, quiet: seconds since the run's start, and since a job was submitted or ended.
    """
    return max(min(70, 1 + running / 60 + active / 50), min(180, quiet / 4))


class Executor(SlurmExecutor):
    logger: Any

    def __init__(self, workflow: Any, logger: Any) -> None:
        for package, versions in VERSIONS.items():
            if version(package) not in SpecifierSet(versions):
                raise WorkflowError(
                    f"executor shapebias-slurm knows {package} {versions}, not {version(package)}: install one of those"
                )
        if shutil.which("sbatch") is None:
            raise WorkflowError(
                "no sbatch on this machine: profiles/slurm submits from a login node of a cluster (`module load slurm` "
                "on some); without a cluster, use profiles/local"
            )
        self.leaving, self.cancelled = threading.Event(), False
        self.session: sessions.Session | None = None  # the parent's thread is there before it
        try:
            if jobs := sessions.cancel_orphaned_jobs():
                logger.warning(f"Jobs {', '.join(jobs)} were left behind by an earlier run: cancelled.")
        except UserError as error:
            raise WorkflowError(str(error)) from None
        super().__init__(workflow, logger)

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self.session = sessions.begin_session(self.run_uuid)
        self.states = JobStates(self.run_uuid)
        self.started = self.changed = time.monotonic()
        try:
            self.refuse_what_the_cluster_refuses()
        except WorkflowError:
            self.wait = False  # ends the parent's thread
            self.leaving.set()
            raise

    @cached_property
    def limits(self) -> dict[str, dict[str, float]]:
        return partitions.list_limits()

    def refuse_what_the_cluster_refuses(self) -> None:
        """Show each kind of job to `sbatch --test-only` before the first is submitted."""
        jobs = [job for job in self.dag.needrun_jobs() if not job.is_local]
        kinds = {tuple(self.sbatch(job, job.rule.name, Path("/dev/null"))): job for job in jobs}
        problems: dict[str, list[tuple[str, str]]] = {}  # what is wrong → rule and call of each kind
        for call, job in kinds.items():
            done = subprocess.run([*call, "--test-only", "--wrap=true"], text=True, capture_output=True, check=False)
            words = " ".join(done.stderr.split())
            if done.returncode and RETRYABLE.search(words):
                self.logger.warning(f"{words} - jobs are submitted unchecked")
                break
            if refusal := words if done.returncode else self.excess(job):
                problems.setdefault(refusal, []).append((job.rule.name, shlex.join(call)))
        if problems:
            nodes = subprocess.run(["sinfo", NODES], text=True, capture_output=True, check=False).stdout
            lines = [f"- {words}: rules {', '.join(sorted(dict(of)))}\n  {of[0][1]}" for words, of in problems.items()]
            raise WorkflowError("\n".join(["The cluster refuses:", *lines, nodes, ADVICE]))
        if kinds:
            rules = {job.rule.name for job in kinds.values()}
            self.logger.info(f"sbatch takes all jobs: {len(kinds)} kinds, of {len(rules)} rules.")

    def excess(self, job: JobExecutorInterface) -> str:
        """What is wrong with a time limit beyond the partition's, with which Slurm lets a job wait for ever."""
        minutes, partition = int(job.resources.get("runtime") or 0), str(job.resources.get("slurm_partition") or "")
        most = partitions.cap(minutes, "runtime", partition, self.limits)
        return f"it asks for {minutes} minutes, the partition grants {most}" if most < minutes else ""

    def sbatch(self, job: JobExecutorInterface, comment: str, log: Path) -> list[str]:
        """The call of sbatch for a job, which takes a script from its standard input."""
        values = {"run_uuid": self.run_uuid, "slurm_logfile": log, "comment_str": comment}
        # Where none is set, Slurm takes the user's default; the parent would ask Slurm, or guess, for each job.
        for value, option in (("account", "-A"), ("partition", "-p")):
            name = job.resources.get(f"slurm_{value}")
            values[value] = f" {option} {shlex.quote(str(name))}" if name else ""
        values["workdir"] = self.workflow.workdir_init
        call = get_submit_command(job, values, settings=self.executor_settings)
        gres = str(job.resources.get("gres") or "")
        # The parent takes no model with a hyphen, such as Slurm finds by itself: nvidia_a100-sxm4-40gb.
        return shlex.split(call + (f" --gres={shlex.quote(gres)}" if "-" in gres else set_gres_string(job)))

    def additional_general_args(self) -> str:
        """A job runs in the process that sbatch starts. It leaves what it wrote when it is ended, which another attempt
        may have written since, on another node: whoever counts it as failed removes it.
        """
        return "--keep-incomplete"

    def get_python_executable(self) -> str:
        """The parent would not quote it, and a folder may have a space in its name."""
        return shlex.quote(super().get_python_executable())

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit a job; called in a thread of its own, since that may take as long as the cluster is busy."""
        if self.leaving.is_set():  # after Ctrl-C
            return
        wildcards, kind = get_job_wildcards(job), "group" if job.is_group() else "rule"
        log = self.slurm_logdir / f"{kind}_{job.name}" / wildcards / "%j.log"
        comment = "_".join(filter(None, [kind, job.name, wildcards, f"{job.jobid}.{job.attempt}"]))
        try:
            if excess := self.excess(job):  # of a group, or of an expression of the attempt in set-resources
                raise WorkflowError(excess)
            log.parent.mkdir(parents=True, exist_ok=True)
            # The shell outlives SIGTERM, or Slurm would kill what is still writing a checkpoint.
            script = f"#!/bin/sh\ntrap : TERM\n{self.format_job_exec(job)}\n"
            number = submit(
                self.sbatch(job, comment, log),
                script,
                name=self.run_uuid,
                comment=comment,
                leaving=self.leaving,
                warn=self.logger.warning,
            )
        except Exception as error:  # of this thread, in which nobody else would hear of it
            self.report_job_error(SubmittedJobInfo(job), msg=f"It was not submitted: {error}. ")
            return
        log, self.changed = log.with_name(f"{number}.log"), time.monotonic()
        self.logger.info(f"Job {job.jobid} has been submitted with SLURM jobid {number} (log: {log}).")
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=number, aux={"slurm_logfile": log}))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> Any:
        """Ask one question about all jobs, report those that ended, and yield the others."""
        self.next_seconds_between_status_checks, active, answers = 1, len(active_jobs), {}
        if self.session:
            self.session.give_sign_of_life()
        if active_jobs and not self.leaving.is_set():
            try:
                answers = await asyncio.to_thread(self.states.query, [str(job.external_jobid) for job in active_jobs])
            except (UserError, OSError, ValueError) as error:
                self.logger.warning(f"{error} - asked again at the next look")
        for job in active_jobs:
            state, status = answers.get(str(job.external_jobid), ("", ""))
            log: Path = (job.aux or {})["slurm_logfile"]
            if status in CONFIG_REFUSED:
                self.cancel_jobs(active_jobs)
                raise WorkflowError(f"Jobs cannot read the config of this study: {log} says why")
            if state == "COMPLETED":
                with contextlib.suppress(OSError):
                    log.unlink(missing_ok=True)
                self.report_job_success(job)
            elif state in FAILED:
                message = f"Slurm job {job.external_jobid} ended as {state}. "
                if state == "FAILED" and not log.exists():
                    message += f"It left no log: do the nodes see {Path.cwd()}? Work where all nodes do. "
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
