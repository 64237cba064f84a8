"""Whether the images of a cue-conflict benchmark show both cues, so that a preference between them means something.

If nobody can read the texture of the images, even the most texture-biased network answers by shape. Its shape bias is
then near 1, which says something about the images and nothing about the network.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# A cue counts as readable if an observer names it at least this many times as often as by guessing.
READABLE_FACTOR = 2
READABLE_COLUMNS = ["chance", "readable"]
READABLE_COLUMNS += [f"{cue}_{name}" for cue in ("shape", "texture") for name in ("observer", "accuracy", "low")]


def readable_cues(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return which cues of a benchmark's images an observer can read; columns: READABLE_COLUMNS.

    rows: rows of `cue_accuracy_rows`, each with its observer.
    <cue>_observer: the observer with the largest share of answers that name the cue. <cue>_accuracy, <cue>_low: this
    share and the lower bound of its interval. chance: the share by guessing of the observer that reads texture best.
    readable: `both`, `shape`, `texture` or `none`. A cue is readable if the share is at least READABLE_FACTOR times
    that of guessing, and its interval lies above guessing. Without an observer that answers conflicts: `none`.
    """
    result: dict[str, Any] = {}
    readable = []
    for cue in ("shape", "texture"):
        answered = [row for row in rows if row[f"{cue}_accuracy"] == row[f"{cue}_accuracy"]]  # not NaN
        best = max(answered, key=lambda row: row[f"{cue}_accuracy"], default=None)
        if best is None:
            result |= {f"{cue}_observer": "", f"{cue}_accuracy": float("nan"), f"{cue}_low": float("nan")}
            continue
        share, low = best[f"{cue}_accuracy"], best[f"{cue}_low"]
        result |= {f"{cue}_observer": best["observer"], f"{cue}_accuracy": share, f"{cue}_low": low}
        result["chance"] = best["chance"]
        if share >= READABLE_FACTOR * best["chance"] and low > best["chance"]:
            readable.append(cue)
    return {"chance": float("nan"), "readable": {2: "both", 0: "none"}.get(len(readable), "".join(readable))} | result
