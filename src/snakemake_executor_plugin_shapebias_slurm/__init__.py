"""`--executor shapebias-slurm`: Snakemake's slurm executor, extended for studies that run for days (profiles/slurm).

Snakemake imports this package at every start, even if Snakemake's own slurm executor is not installed.
"""

try:
    from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
except ImportError:
    from dataclasses import dataclass, field

    from snakemake.executors.local import Executor as Local
    from snakemake_interface_common.exceptions import WorkflowError
    from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

    common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)

    @dataclass
    class ExecutorSettings(ExecutorSettingsBase):
        no_requeue: bool = field(default=False, metadata={"help": "set by profiles/slurm"})
        logdir: str = field(default="", metadata={"help": "set by profiles/slurm"})

    class Executor(Local):
        def __init__(self, *_: object) -> None:
            raise WorkflowError("executor shapebias-slurm requires the package snakemake-executor-plugin-slurm")

else:
    from snakemake_executor_plugin_shapebias_slurm.executor import Executor

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
