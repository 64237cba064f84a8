"""Decode many mutated image files and print how many were decoded and refused: python tests/fuzz_images.py --count N.

Every other outcome is a fault: the program prints the seed that repeats it and ends with status 1.
"""

import argparse
import sys
import time
import warnings
from collections import Counter

from bad_files import mutated_image

from shapebias.errors import BadImageError
from shapebias.images.codec import load_rgb

SLOW = 10.0  # seconds that no image may take


def outcome(seed: int) -> str:
    """Return what happens to the mutated image of a seed: "decoded", "refused", or the fault in words."""
    started = time.monotonic()
    try:
        load_rgb(mutated_image(seed))
        result = "decoded"
    except BadImageError as error:
        result = "refused" if str(error) else "refused without a reason"
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - started
    return result if seconds < SLOW else f"took {seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="number of mutated images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one (default: %(default)s)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.count):
        result = outcome(seed)
        if result not in ("decoded", "refused"):
            print(f"seed {seed}: {result}", flush=True)
            result = "faults"
        counts[result] += 1
    survived = counts["decoded"] + counts["refused"]
    print(
        f"{args.count:,} mutated images tried, {survived:,} survived ({counts['decoded']:,} decoded, "
        f"{counts['refused']:,} refused with a reason), {counts['faults']:,} faults"
    )
    sys.exit(counts["faults"] > 0)


if __name__ == "__main__":
    main()
