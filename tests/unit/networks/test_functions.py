"""Functions in place of networks: arrays of any library, ONNX sessions, and what is refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from helpers import conflict_folder
from onnx import TensorProto, helper

from shapebias import Preparation, evaluate
from shapebias.errors import UserError

PREPARATION = Preparation(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear", crop=1.0)


@pytest.fixture
def stimuli(tmp_path):
    return conflict_folder(tmp_path)


def classify(network: Any, images: Any, **options: Any) -> pd.DataFrame:
    arguments: dict[str, Any] = {"classes": ["cat", "dog"], "preparation": PREPARATION}
    return evaluate(network, images, **arguments | options)


def red_against_blue(images: Any) -> Any:
    """Return the mean of the red and of the blue channel, [B, 2]; images: [B, 3, H, W] of torch or numpy."""
    return images.mean((2, 3))[:, [0, 2]]


class ForeignArray:
    """An array of another library, as JAX and Keras have them: numpy can read it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values


def session(*, batch: int | str = "B", shape: tuple = (3, 32, 32), outputs: tuple = ("logits",), dtype: int = 1) -> Any:
    """Return a session that answers with the mean red and the mean blue, by the operators of ONNX."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    channels = helper.make_tensor("channels", TensorProto.INT64, [2], [0, 2])
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
        *[helper.make_node("Gather", ["means", "channels"], [name], axis=1) for name in outputs],
    ]
    inputs = [helper.make_tensor_value_info("images", dtype, [batch, *shape])]
    results = [helper.make_tensor_value_info(name, dtype, [batch, 2]) for name in outputs]
    graph = helper.make_graph(nodes, "means", inputs, results, [axes, channels])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "network",
    [
        lambda images: red_against_blue(images.numpy()),
        lambda images: ForeignArray(red_against_blue(images.numpy())),
        lambda images: SimpleNamespace(logits=red_against_blue(images), hidden_states=None),
        session(),
        session(batch=1),
        session(outputs=("features", "logits")),
    ],
    ids=["numpy", "another library", "Hugging Face", "ONNX", "ONNX, one image", "ONNX, two outputs"],
)
def test_a_function_answers_like_the_same_function_in_torch(stimuli, network):
    expected = classify(red_against_blue, stimuli, observer="net", batch_size=4)
    table = classify(network, stimuli, observer="net", batch_size=4)
    pd.testing.assert_frame_equal(table, expected, rtol=1e-6)
    assert expected.attrs["observer"] == "net" and expected.attrs["parameters"] is None
    assert expected.attrs["preparation"]["mean"] == (0.5, 0.5, 0.5)


def test_a_session_of_half_precision_gets_its_type(stimuli):
    expected = classify(red_against_blue, stimuli)
    np.testing.assert_allclose(
        classify(session(dtype=TensorProto.FLOAT16), stimuli)["p_cat"], expected["p_cat"], atol=1e-3
    )


def test_the_batch_is_prepared_as_stated(stimuli):
    batches = []
    classify(lambda images: batches.append(images) or red_against_blue(images), stimuli, batch_size=6)
    [images] = batches
    assert images.shape == (6, 3, 32, 32) and images.dtype == torch.float32 and images.is_contiguous()
    assert -1 <= images.min() < -0.9 and 0.9 < images.max() <= 1  # (x - 0.5) / 0.5 of pixels from 0 to 1


def test_a_function_without_a_preparation_is_asked_for_it(stimuli):
    for network, name in ((red_against_blue, "red_against_blue"), (session(), "InferenceSession")):
        with pytest.raises(UserError, match=rf"{name} is a function, .* give preparation=Preparation\(size=…, mean="):
            evaluate(network, stimuli, classes=["cat", "dog"])
    with pytest.raises(UserError, match=r"the preparation is a dict; give preparation=Preparation\(size="):
        classify(red_against_blue, stimuli, preparation={"size": 32})


def test_a_network_of_transformers_is_asked_for_its_preparation(stimuli):
    module = type("TinyForImageClassification", (torch.nn.Flatten,), {"__module__": "transformers.models.tiny"})
    with pytest.raises(UserError, match=r"TinyForImageClassification is of transformers; .* image processor"):
        evaluate(module(), stimuli, classes=["cat", "dog"])


def failing(images: torch.Tensor) -> None:
    raise ValueError("expected 64 pixels")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda images: images[:, :, 0, 0], r"answers 4 images with \(4, 3\), expected \(4, 2\)"),
        (lambda images: images.mean((1, 2, 3)), r"answers 4 images with \(4,\), expected \(4, 2\)"),
        (lambda images: red_against_blue(images).tolist(), "returns a list, expected a tensor"),
        (lambda images: np.array([["cat", "dog"]] * len(images)), "returns a ndarray, expected a tensor"),
        (lambda images: red_against_blue(images).to(torch.complex64), "returns a Tensor, expected a tensor of logits"),
        (lambda images: red_against_blue(images).to_sparse(), "returns a Tensor, expected a tensor of logits"),
        (lambda images: red_against_blue(images).to("meta"), "returns a Tensor, expected a tensor of logits"),
        (lambda images: red_against_blue(images) * np.nan, "image 'cat/cat1-dog1' with logits that are not finite"),
        (failing, r"failing fails on a batch of images, float32 \[4, 3, 32, 32\] on cpu: ValueError: expected 64"),
        (["cat"], "network is a list; expected a name in timm, a torch network"),
        (session(shape=(3, 64, 64)), "InferenceSession fails on a batch .* Expected: 64"),
        (session(batch=5), "takes exactly 5 images at a time"),
        (session(shape=(32, 32, 3)), r"takes \(images: tensor\(float\) \['B', 32, 32, 3\]\), expected a single float"),
        (session(outputs=("a", "b")), r"2 outputs \(a, b\) and none is called 'logits'"),
    ],
)
def test_what_does_not_fit_is_named(stimuli, network, message):
    with pytest.raises(UserError, match=message):
        classify(network, stimuli, batch_size=4)
