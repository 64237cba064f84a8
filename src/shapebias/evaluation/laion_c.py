"""Open the images of LAION-C: photographs in six synthetic distortions, each in five severities.

Layout: `<distortion>/intensity_level_<1 to 5>/<label>/image`, at any depth of a folder or an archive, as the published
evaluation reads it (github.com/FanfeiLi/LAION-C; images: zenodo.org/records/14051887). The name of the folder or
archive itself counts, so `mosaic/`, or a `mosaic.zip` with `intensity_level_1` at its top, may be given alone.
Source: Li et al., ICML 2025 (arXiv 2506.16950).
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import LAION_C_DISTORTIONS, LAION_C_SEVERITIES
from shapebias.evaluation.label_stimuli import open_labelled_files
from shapebias.images.pictures import Picture
from shapebias.images.shards import Label, label

LAION_C_LAYOUT = "<distortion>/intensity_level_<severity>/<label>/image"
SEVERITY_FOLDER = re.compile(r"intensity_level_(\d+)")


def open_laion_c(paths: Sequence[Path]) -> list[Picture]:
    """Return the images of LAION-C, ordered by id; paths: folders and archives, see the module.

    Errors and warnings: as in `open_labelled_files`. Also raises UserError for an unknown distortion or severity.
    """
    distortions = f"a distortion is one of {', '.join(LAION_C_DISTORTIONS)}"
    return open_labelled_files(paths, laion_c_label, f"{LAION_C_LAYOUT}; {distortions}")


def laion_c_label(place: Path, file: str) -> Label | None:
    """Return the label of an image, or None for a path of another layout.

    place: the folder or archive; file: the image's path in it. Raises UserError for an unknown distortion or severity.
    """
    parts = (place.resolve().name.partition(".")[0], *PurePosixPath(file).parts)
    severity = SEVERITY_FOLDER.fullmatch(parts[-3]) if len(parts) >= 4 else None
    if severity is None:
        return None
    distortion = parts[-4]
    if distortion not in LAION_C_DISTORTIONS or int(severity[1]) not in LAION_C_SEVERITIES:
        raise UserError(
            f"{place}: {file}: {distortion}, severity {severity[1]}, is no condition of LAION-C; expected "
            f"{LAION_C_LAYOUT} with a distortion of {', '.join(LAION_C_DISTORTIONS)} and a severity from 1 to 5"
        )
    condition = f"{distortion}-{int(severity[1])}"
    facts: dict[str, Any] = {"label": parts[-2], "condition": condition, "imagename": parts[-1]}
    return label(f"{condition}/{parts[-2]}/{PurePosixPath(file).stem}", content=file, **facts)
