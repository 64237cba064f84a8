"""Networks that compare images with texts, such as CLIP (Radford et al. 2021, arXiv 2103.00020), as classifiers.

The logit of a category is the cosine of the image's embedding and the embedding of a prompt, times 100, the scale at
which CLIP's training ends.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.networks.functions import FunctionNetwork, output_tensor
from shapebias.networks.models import Preparation

LOGIT_SCALE = 100.0
PLACE = "{}"


class ImageEncoder(nn.Module):
    """The method `encode_image` of a network, as its forward pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Any:
        return self.network.encode_image(images)  # ty: ignore[not-callable]


class ImageTextNetwork(nn.Module):
    """A network that answers with the texts nearest to an image; made by `from_embeddings`, which describes it.

    images: [B, 3, size, size]. Returns logits, float32 [B, classes].
    """

    def __init__(
        self, encoder: nn.Module, text_embeddings: torch.Tensor, classes: list[str], preparation: Preparation
    ) -> None:
        super().__init__()
        self.encoder, self.classes, self.preparation = encoder, classes, preparation
        self.num_classes = len(classes)
        self.register_buffer("texts", F.normalize(text_embeddings))  # [classes, D]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        returned = self.encoder(images)
        embeddings, texts = output_tensor(returned), self.get_buffer("texts")
        if embeddings is None or embeddings.shape != (len(images), texts.shape[1]):
            shape = "" if embeddings is None else f" {list(embeddings.shape)}"
            raise UserError(
                f"encode_image returns a {type(returned).__name__}{shape} for {len(images)} images; expected "
                f"embeddings {[len(images), texts.shape[1]]}, as wide as those of the texts"
            )
        return LOGIT_SCALE * F.normalize(embeddings.float()) @ texts.T.to(embeddings.device)


def from_embeddings(
    encode_image: Any, text_embeddings: Any, classes: Sequence[str], preparation: Preparation
) -> ImageTextNetwork:
    """Return a network for `evaluate` from an encoder of images and the embeddings of one text per class.

    encode_image: an object with the method `encode_image` (a network of open_clip), or a function; it maps images
    [B, 3, size, size] to embeddings [B, D]. text_embeddings: [classes, D], a tensor or an array; embeddings of several
    prompts per class are averaged before. classes: the names in the same order. preparation: of the images.
    Raises UserError for embeddings that are not finite or do not fit the classes, and for a class that is named twice.
    """
    texts = output_tensor(text_embeddings)
    if texts is None or texts.ndim != 2 or len(texts) != len(classes):
        shape = "" if texts is None else f" {list(texts.shape)}"
        raise UserError(
            f"text_embeddings are a {type(text_embeddings).__name__}{shape}; expected [{len(classes)}, D], one row for "
            f"each of the {len(classes)} classes"
        )
    if repeated := [name for name in classes if list(classes).count(name) > 1]:
        raise UserError(f"class {repeated[0]!r} is named twice in classes; give one text embedding for each class")
    texts = texts.float().cpu()
    if not texts.isfinite().all() or not texts.any(dim=1).all():
        row = int((~texts.isfinite().all(dim=1) | ~texts.any(dim=1)).int().argmax())
        raise UserError(f"the text embedding of class {classes[row]!r} is zero or not finite (NaN or infinite)")
    method = getattr(encode_image, "encode_image", None)
    if method is not None and isinstance(encode_image, nn.Module):
        encoder: nn.Module = ImageEncoder(encode_image)
    elif isinstance(encode_image, nn.Module):
        encoder = encode_image
    elif callable(method or encode_image):
        encoder = FunctionNetwork(method or encode_image, "encode_image")
    else:
        raise UserError(f"encode_image is a {type(encode_image).__name__}; give a function, or an object that has one")
    return ImageTextNetwork(encoder, texts, list(classes), preparation)


def make_prompts(template: str, names: Sequence[str]) -> list[str]:
    """Return a prompt for each name: the template with the name in the place of `{}`.

    Raises UserError for a template without exactly one `{}`: all prompts would be the same text, or hold a name twice;
    and for a single text in place of names, whose letters would be the names.
    """
    if isinstance(names, str):
        raise UserError(f"names are the text {names!r}; give a list of names, such as [{names!r}]")
    if template.count(PLACE) != 1:
        raise UserError(
            f"prompt {template!r} has {template.count(PLACE)} places for the name of a class; write one {PLACE}, as in "
            f"'a photo of a {PLACE}'"
        )
    return [template.replace(PLACE, name) for name in names]
