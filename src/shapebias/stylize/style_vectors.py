"""Files of encoded styles, from which a stylizing job works without the style images.

A file (safetensors) holds the styles of one set or shard: a tensor `vectors` [N, D], and as metadata the stylizer's
fingerprint and a label for each row. Rows are read on demand, so memory does not grow with the number of styles.
The metadata are one text, since safetensors writes several of them in random order.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.shards import Label, expand
from shapebias.seals import SEAL_KEY, UNSEALED, check_seal, seal

# Keys that a stylized image's label takes from its style.
LABEL_KEYS = ("id", "content", "texture", "texture_class")
METADATA_KEY = "shapebias"


def write_style_vectors(target: Path, fingerprint: str, labels: Sequence[Label], vectors: Sequence[np.ndarray]) -> None:
    """Write the vectors [D] of styles with their labels."""
    style_labels = [{key: label[key] for key in LABEL_KEYS} for label in labels]
    values = {"fingerprint": fingerprint, "styles": style_labels, SEAL_KEY: UNSEALED}
    metadata = {METADATA_KEY: json.dumps(values, ensure_ascii=False)}
    with atomic_write(target) as draft:
        draft.write_bytes(seal(save({"vectors": np.stack(vectors)}, metadata=metadata)))


class StyleVectors:
    """Styles from files of vectors, by id.

    Raises UserError for a file of another kind or another stylizer, and for two files with the same style id.
    """

    def __init__(self, paths: Sequence[Path], fingerprint: str) -> None:
        self.labels: dict[str, Label] = {}
        self.rows: dict[str, tuple[Path, int]] = {}
        files = expand(paths)
        self.origin = files[0]
        for path in files:
            for row, label in enumerate(read_labels(path, fingerprint)):
                if label["id"] in self.rows:
                    raise UserError(f"{self.rows[label['id']][0]} and {path} both hold style {label['id']!r}")
                self.labels[label["id"]], self.rows[label["id"]] = label, (path, row)

    def vector(self, style_id: str) -> np.ndarray:
        """Return the vector of a style, float32 [D]."""
        path, row = self.rows[style_id]
        with safe_open(path, framework="np") as file:
            return file.get_slice("vectors")[row]


def read_labels(path: Path, fingerprint: str) -> list[Label]:
    """Return the labels of a file's rows, in order; raises UserError for vectors of another stylizer."""
    try:
        check_seal(path)
        with safe_open(path, framework="np") as file:
            metadata = json.loads((file.metadata() or {})[METADATA_KEY])
            made_by, labels = metadata["fingerprint"], metadata["styles"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: not a file of style vectors ({error}); remove it and encode the styles again"
        ) from None
    if made_by != fingerprint:
        raise UserError(
            f"{path}: style vectors of {made_by}, but the stylizer is {fingerprint}; encode the styles again with "
            "this stylizer"
        )
    return labels
