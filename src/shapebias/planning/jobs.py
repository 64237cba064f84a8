"""Jobs of a study that are alike, as a plan counts them."""

from dataclasses import dataclass

from shapebias.planning.costs import Basis

Key = tuple[str, ...]


@dataclass(frozen=True)
class Jobs:
    """Jobs of one rule that are alike.

    key: the rule, and which of its jobs. images: that all of them work on, at most. Of one job: seconds, without the
    scheduler's; cpus; gpus; files and bytes that it leaves; scratch, bytes of checkpoints while it runs; staged, bytes
    that it copies to each of its nodes. after: keys of the jobs that it waits for. basis: what `seconds` rests on.
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
