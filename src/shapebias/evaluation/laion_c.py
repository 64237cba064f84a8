"""Open the images of LAION-C: photographs in six synthetic distortions, each in five severities.

Layout: `<distortion>/intensity_level_<1 to 5>/<label>/image`, at any depth of a folder or an archive, as the published
evaluation reads it (github.com/FanfeiLi/LAION-C; images: zenodo.org/records/14051887). The name of the folder or
archive itself counts, so `mosaic/`, or a `mosaic.zip` with `intensity_level_1` at its top, may be given alone.
Source: Li et al., ICML 2025 (arXiv 2506.16950).
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import LAION_C_DISTORTIONS, LAION_C_SEVERITIES
from shapebias.evaluation.label_stimuli import sorted_pictures
from shapebias.images.archives import ArchivedImage, open_archive
from shapebias.images.folder_files import image_files
from shapebias.images.pictures import ImageFile, Picture
from shapebias.images.shards import Label, expand, label

log = logging.getLogger(__name__)

LAION_C_LAYOUT = "<distortion>/intensity_level_<severity>/<label>/image"
SEVERITY_FOLDER = re.compile(r"intensity_level_(\d+)")


def open_laion_c(paths: Sequence[Path]) -> list[Picture]:
    """Return the images of LAION-C, ordered by id; paths: folders and archives, see the module.

    Other images in them are left out with a warning. Raises UserError for a path without images of this layout, and for
    an unknown distortion or severity.
    """
    pictures: list[Picture] = []
    for path in expand(paths):
        place = path if path.is_dir() else open_archive(path)
        files = image_files(place) if isinstance(place, Path) else list(place.members)
        labels = {file: laion_c_label(path, file) for file in files}
        unlabelled = [file for file, image_label in labels.items() if image_label is None]
        if len(unlabelled) == len(files):
            raise UserError(
                f"{path}: no image as {LAION_C_LAYOUT}; a distortion is one of {', '.join(LAION_C_DISTORTIONS)}"
            )
        if unlabelled:
            log.warning("%s: images that are left out: %d (the first: %s)", path, len(unlabelled), unlabelled[0])
        for file, image_label in labels.items():
            if image_label is not None:
                in_folder = isinstance(place, Path)
                pictures.append(
                    ImageFile(place / file, image_label) if in_folder else ArchivedImage(place, file, image_label)
                )
    return sorted_pictures(pictures)


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
