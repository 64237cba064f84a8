# Checks and records at the start of a run, before its first job.

import contextlib
import hashlib
from pathlib import Path

import yaml

from shapebias.cluster import sessions
from shapebias.config.data_files import future_problem
from shapebias.files import atomic_write

RECORD = Path("results/study.txt")  # names the config file that the results belong to


def remove_dead_locks():
    """Unlock this folder if the Snakemake that locked it was killed. Each session writes its record before its lock."""
    earlier_sessions = sessions.recorded_sessions()
    if earlier_sessions and all(session.has_ended() for session in earlier_sessions):
        locks = list(Path(".snakemake/locks").glob("*.lock"))
        if locks:
            logger.warning("Snakemake was killed before it could unlock this folder. The lock is removed.")
        for path in locks:
            path.unlink(missing_ok=True)


def remove_dead_records():
    """Remove the records of sessions that have ended, unless a cluster may still have jobs of theirs."""
    for session in sessions.recorded_sessions():
        if session.has_ended() and not session.jobs_name:
            session.path.unlink(missing_ok=True)


def refuse_lost_shards():
    """Raise WorkflowError if a shard is missing. Jobs depend on checksum lists instead of shards, so no job would notice."""
    jobs = list(workflow.dag.needrun_jobs())
    outputs = {str(path) for job in jobs for path in job.output}
    lists = {path for job in jobs for path in map(str, job.input) if os.path.basename(path) == CHECKSUMS} - outputs
    for path in sorted(lists):
        lines = Path(path).read_text().splitlines()
        if not all(re.fullmatch(r"[0-9a-f]{64}  .+", line) for line in lines) or not lines:
            raise WorkflowError(f"{path}: not a list of checksums. Remove it to have it made again")
        names = [line.split(maxsplit=1)[1] for line in lines]
        missing = [shard for name in names if not (shard := Path(path).parent / name).exists()]
        if missing:
            examples = f"{' '.join(map(str, missing[:3]))}{' …' if len(missing) > 3 else ''}"
            raise WorkflowError(
                f"{len(missing)} of the shards that {path} lists are gone ({examples}). To make them again, run `snakemake … "
                f"{'images' if path.startswith('results/images/') else examples}` alone. No training is repeated if the "
                "new shards equal the old ones"
            )


def refuse_future_inputs():
    """Raise WorkflowError if an input is dated in the future, since Snakemake would delete the outputs after the job."""
    jobs = list(workflow.dag.needrun_jobs())
    inputs = {str(path) for job in jobs for path in job.input} - {str(path) for job in jobs for path in job.output}
    # The record was written just now, so its time is that of the disk of the results.
    problem = future_problem(map(Path, sorted(inputs)), RECORD.stat().st_mtime)
    if problem:
        raise WorkflowError(problem)


def study_file():
    """Return the path of this study's config file, relative to this folder if it lies below, so that the folder can move."""
    files = [Path(path).absolute() for path in workflow.overwrite_configfiles or ["config.yaml"]]
    here = Path.cwd()
    return " ".join(str(path.relative_to(here) if path.is_relative_to(here) else path) for path in files)


def study_conflict():
    """Return an error message if the results in this folder belong to another config file, else None."""
    if RECORD.exists() and (recorded_file := RECORD.read_text().strip()) != study_file():
        return (
            f"results/ holds the study of {recorded_file}, and {study_file()} would overwrite it. Give each study a folder of its "
            f"own (--directory FOLDER), or remove {RECORD} if both files are the same study"
        )


def copy_config_for_jobs():
    """Make jobs read a copy of the study's config, with the values of `--config`.

    Each job reads the config when it starts. Without the copy, an edit during the run would change later jobs.
    """
    text = yaml.safe_dump(STUDY, sort_keys=False)
    path = Path(".snakemake/studies") / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
    with atomic_write(path) as draft:
        draft.write_text(text)
    workflow.config_settings.configfiles = [path.absolute()]
    workflow.config_settings.config_args = []


def partial_report_hint():
    """Return how to make a report of the evaluated networks, or None if there are none or nothing is missing."""
    networks = [*OBSERVERS, *MELANOMA_RUNS]
    evaluated = [name for name in networks if all(map(os.path.exists, measurements_of(name)))]
    if config["only_finished"] or len(evaluated) in (0, len(networks)):
        return None
    return (
        f"{len(evaluated)} of {len(networks)} networks are evaluated. For tables and a report of these alone, repeat the "
        "command with only_finished=true behind --config (one --config takes several values)"
    )


if workflow.is_main_process:
    remove_dead_locks()
    with contextlib.suppress(OSError):  # in a read-only folder, a dry run still works
        sessions.begin_session()
    STUDY_CONFLICT = study_conflict()
    if STUDY_CONFLICT:
        logger.warning(STUDY_CONFLICT)


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError("\n".join(MISSING))
    if STUDY_CONFLICT:
        raise WorkflowError(STUDY_CONFLICT)
    with atomic_write(RECORD) as draft:
        draft.write_text(f"{study_file()}\n")
    refuse_lost_shards()
    refuse_future_inputs()
    copy_config_for_jobs()
    remove_dead_records()
    if on_cluster():
        for text in short_trainings():
            logger.warning(text)


onerror:
    if workflow.is_main_process and (hint := partial_report_hint()):
        logger.error(hint)
