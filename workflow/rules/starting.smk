# What is done once when a run starts, before its first job.

import hashlib
import time
from pathlib import Path

import yaml

from shapebias.cluster import sessions
from shapebias.files import atomic_write

RECORD = Path("results/study.txt")  # which file the results follow from


def remove_dead_locks():
    """Unlock this folder where the Snakemake that locked it was killed. A session writes its record after its lock: a
    younger lock is that of a session which is about to write its own.
    """
    recorded = sessions.recorded_sessions()
    if recorded and all(session.has_ended() for session in recorded):
        latest = time.time() - min(session.silence for session in recorded)
        locks = [path for path in Path(".snakemake/locks").glob("*.lock") if path.stat().st_mtime <= latest]
        if locks:
            logger.warning("Snakemake was killed before it could unlock this folder: unlocked.")
        for path in locks:
            path.unlink(missing_ok=True)


def record_session():
    """Keep a record by which the next run knows that this one was killed. Executor shapebias-slurm keeps its own."""
    if not on_cluster():
        for session in sessions.recorded_sessions():
            if session.has_ended() and not session.jobs_name:
                session.path.unlink(missing_ok=True)
        sessions.begin_session()


def refuse_lost_shards():
    """A list of checksums stands for its shards, so that nothing else would notice that one is gone."""
    jobs = list(workflow.dag.needrun_jobs())
    made = {str(path) for job in jobs for path in job.output}
    lists = {path for job in jobs for path in map(str, job.input) if os.path.basename(path) == CHECKSUMS} - made
    for path in sorted(lists):
        names = [line.split(maxsplit=1)[1] for line in Path(path).read_text().splitlines()]
        gone = [shard for name in names if not (shard := Path(path).parent / name).exists()]
        if gone:
            some = f"{' '.join(map(str, gone[:3]))}{' …' if len(gone) > 3 else ''}"
            raise WorkflowError(
                f"{len(gone)} of the shards that {path} lists are gone ({some}): `snakemake … "
                f"{'images' if path.startswith('results/images/') else some}`, by itself, makes them again; where they "
                "come out the same, nothing is trained anew"
            )


def study_file():
    """The file of this study: relative to the folder of results if it lies below, so that the folder may be moved."""
    files = [Path(path).absolute() for path in workflow.overwrite_configfiles or ["config.yaml"]]
    here = Path.cwd()
    return " ".join(str(path.relative_to(here) if path.is_relative_to(here) else path) for path in files)


def other_study():
    """What is wrong if the results in this folder are those of another file: they would be overwritten."""
    if RECORD.exists() and (other := RECORD.read_text().strip()) != study_file():
        return (
            f"results/ holds the study of {other}, and {study_file()} would overwrite it. Give each study a folder of its "
            f"own (--directory FOLDER), or remove {RECORD} if both files are the same study"
        )


def fix_the_config_of_jobs():
    """Give jobs a copy of the study's config, `--config` included. Each job reads its config when it starts, so an
    edit meanwhile would make it a job of another study.
    """
    text = yaml.safe_dump(STUDY, sort_keys=False)
    path = Path(".snakemake/studies") / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
    with atomic_write(path) as draft:
        draft.write_text(text)
    workflow.config_settings.configfiles = [path.absolute()]
    workflow.config_settings.config_args = []


if workflow.is_main_process:
    remove_dead_locks()
    OTHER_STUDY = other_study()
    if OTHER_STUDY:
        logger.warning(OTHER_STUDY)


onstart:
    if MISSING and not all(job.rule.name.startswith("download") for job in workflow.dag.needrun_jobs()):
        raise WorkflowError("\n".join(MISSING))
    if OTHER_STUDY:
        raise WorkflowError("nothing has run: the results in this folder are those of another study (see above)")
    with replacing(RECORD) as draft:
        draft.write_text(f"{study_file()}\n")
    refuse_lost_shards()
    fix_the_config_of_jobs()
    record_session()
    if on_cluster():
        for text in short_trainings():
            logger.warning(text)
