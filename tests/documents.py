"""The README and the pages of docs/: their code blocks, and the commands in the blocks."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers import ROOT

from shapebias.evaluation.decisions import CSV_COLUMNS

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(
        ROOT / name / "README.md"
        for name in ("config", "results", "profiles/slurm", "benchmarks", "workflow/resources")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCE = re.compile(r"^( *)(```+)(.*?)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind (the word after the fence), the name of the displayed file, and its text."""

    page: str
    line: int
    kind: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        kind, _, rest = match[3].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        lines = [line.removeprefix(match[1]) for line in match[4].splitlines()]
        number = text.count("\n", 0, match.start()) + 1
        yield Block(page_name(path), number, kind, title[1] if title else "", "\n".join(lines) + "\n")


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@dataclass(frozen=True)
class Command:
    """A command of a bash block as words, without assignments of variables, redirection and `uv run`."""

    block: Block
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block}: {shlex.join(self.words)}"


def commands_of(block: Block) -> Iterator[Command]:
    for line in re.sub(r"\\\n", " ", block.text).splitlines():
        words = shlex.split(line, comments=True)
        yield from split_words(block, words)


def split_words(block: Block, words: list[str]) -> Iterator[Command]:
    """Yield the commands of a line, including a command in `sbatch --wrap`."""
    while "&&" in words:
        end = words.index("&&")
        yield from split_words(block, words[:end])
        words = words[end + 1 :]
    if ">" in words:
        words = words[: words.index(">")]
    if not words:
        return
    if words[:2] == ["uv", "run"]:
        words = words[4:] if words[2] == "--project" else words[2:]
    if words[0] == "sbatch":
        yield from split_words(block, shlex.split(words[words.index("--wrap") + 1]))
    yield Command(block, tuple(words))


COMMANDS = [command for block in BLOCKS if block.kind == "bash" for command in commands_of(block)]


def person_csv(path: Path, person: str) -> None:
    """Write the file of a person's decisions that the pages use, with one decision."""
    row = f"{person},1,1,0.5,cat,cat,0,0001_cc_{person}_0_cat_00_cat1-bird1.png"
    path.write_text(f"{','.join(CSV_COLUMNS)}\n{row}\n")
