"""Groups of similar jobs, the entries of a plan."""

from dataclasses import dataclass

from shapebias.planning.costs import Basis

Key = tuple[str, ...]


@dataclass(frozen=True)
class JobGroup:
    """Jobs of one rule that have the same cost.

    key: the rule and the wildcards that the jobs share. images: upper limit of the images in all jobs together.

    All other values are those of one job. seconds: without the scheduler's time. cpus, gpus, nodes: that the job asks
    for. files, written: number and bytes of the files that it leaves. scratch: bytes of checkpoints while it runs.
    staged: bytes that it copies to each of its nodes. after: keys of the groups that it waits for. basis: of `seconds`.
    """

    key: Key
    count: int
    seconds: float
    images: int = 0
    cpus: int = 1
    gpus: int = 0
    files: int = 1
    written: float = 0.0
    scratch: float = 0.0
    staged: float = 0.0
    nodes: int = 1
    after: tuple[Key, ...] = ()
    basis: Basis | None = None

    @property
    def rule(self) -> str:
        return self.key[0]
