"""Gatys' optimization: Gram matrices by hand, falling losses, reproducible images, masks, and layers of networks."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import picture
from PIL import Image
from torch import nn
from torchvision.models import vgg19

from shapebias.errors import BadImageError, UserError
from shapebias.networks.models import Preparation, build, preparation
from shapebias.stylize.gatys import (
    GatysStylizer,
    LayerOutputs,
    gram,
    module_names,
    pack_grams,
    relative_error,
    smooth,
    unpack_grams,
)
from shapebias.stylize.gatys_settings import GatysSettings, make_settings
from shapebias.stylize.pipeline import StyleView, encode_style
from shapebias.stylize.stylizers import make_stylizer

SETTINGS = GatysSettings("a tiny network", ("3",), ("1", "3"), content_weight=1.0, style_weight=10.0, steps=12)
PREPARED = Preparation(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0)


def tiny_network(kernel: int = 3) -> nn.Sequential:
    """Return two convolutions with fixed random weights, each with its ReLU; a kernel of 1 sees single pixels."""
    generator = torch.Generator().manual_seed(0)
    first, second = nn.Conv2d(3, 6, kernel, padding="same"), nn.Conv2d(6, 8, kernel, padding="same")
    for layer in (first, second):
        nn.init.orthogonal_(layer.weight, generator=generator)
        nn.init.constant_(layer.get_parameter("bias"), 0.2)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), nn.Flatten())


def tiny_stylizer(kernel: int = 3, **changes) -> GatysStylizer:
    return GatysStylizer(tiny_network(kernel), PREPARED, dataclasses.replace(SETTINGS, **changes))


def losses(stylizer: GatysStylizer, images: list[Image.Image], content: Image.Image, style: np.ndarray) -> list[float]:
    """Return the loss of each image, with one content and one style."""
    maps = stylizer.feature_maps(stylizer.batch([content] * len(images)))
    grams = unpack_grams(torch.from_numpy(style)[None].repeat(len(images), 1), [6, 8])
    with torch.no_grad():
        return stylizer.losses(stylizer.batch(images), [maps["3"]], grams).tolist()


def test_a_gram_matrix_is_the_mean_product_of_two_channels():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels at two positions
    assert gram(features)[0].tolist() == [[(1 + 4) / 2, (3 + 8) / 2], [(3 + 8) / 2, (9 + 16) / 2]]
    first_alone = torch.tensor([[[[1.0, 0.0]]]])
    assert gram(features, first_alone)[0].tolist() == [[1, 3], [3, 9]]
    three_quarters = torch.tensor([[[[1.0, 1.0, 0.5, 0.5]]]])  # twice as wide as the features
    torch.testing.assert_close(gram(features, three_quarters)[0], torch.tensor([[2.0, 14 / 3], [14 / 3, 34 / 3]]))


def test_an_error_is_relative_to_its_target():
    values, target = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[1.0, 4.0], [6.0, 0.0]])
    assert relative_error(values, target).tolist() == pytest.approx([4 / 17, 9 / 36])


def test_packed_gram_matrices_are_the_same_again():
    features = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    grams = [gram(features), gram(features[:, :2])]
    vectors = pack_grams(grams)
    assert vectors.shape == (2, 15 + 3)
    for matrix, same in zip(grams, unpack_grams(vectors, [5, 2]), strict=True):
        torch.testing.assert_close(matrix, same)


def test_more_steps_come_nearer_to_content_and_style():
    content, style = picture(0, (16, 12)), tiny_stylizer().encode(picture(1, (20, 20)))
    results = [content, *(tiny_stylizer(steps=steps).apply([content], style[None], 1.0)[0] for steps in (3, 30))]
    start, few, many = losses(tiny_stylizer(), results, content, style)
    assert many < few < start
    assert {image.size for image in results} == {(16, 12)}


def test_without_style_the_content_stays():
    content, style = picture(0, (16, 16)), tiny_stylizer().encode(picture(1))
    for unchanged in (
        tiny_stylizer(style_weight=1e-6).apply([content], style[None], 1.0),
        tiny_stylizer().apply([content], style[None], 0.0),
    ):
        np.testing.assert_allclose(np.asarray(unchanged[0], int), np.asarray(content, int), atol=1)


def test_images_of_a_batch_equal_those_alone_and_the_same_call_gives_the_same_bytes():
    stylizer = tiny_stylizer()
    contents, styles = [picture(0), picture(1)], np.stack([stylizer.encode(picture(k)) for k in (2, 3)])
    together = [np.asarray(image) for image in stylizer.apply(contents, styles, 1.0)]
    for k in (0, 1):
        alone, again = (np.asarray(stylizer.apply([contents[k]], styles[k : k + 1], 1.0)[0]) for _ in range(2))
        np.testing.assert_array_equal(alone, again)
        np.testing.assert_allclose(together[k].astype(int), alone.astype(int), atol=2)
    assert (together[0] != together[1]).any()


def test_a_mask_leaves_the_background_out(tmp_path):
    """Each unit of this network sees one pixel, so the masked style has the Gram matrices of the object alone."""
    stylizer, style = tiny_stylizer(kernel=1), picture(0, (32, 32))
    mask = Image.new("L", (16, 16))  # half as wide and high as the style
    mask.paste(255, (0, 0, 8, 16))
    (tmp_path / "cat").mkdir()
    mask.resize(style.size, Image.Resampling.NEAREST).save(tmp_path / "cat/1.png")
    masked = encode_style(stylizer, "cat/1", style, StyleView(masks=tmp_path))
    np.testing.assert_allclose(masked, stylizer.encode(style.crop((0, 0, 16, 32))), rtol=1e-4)
    assert not np.allclose(masked, stylizer.encode(style), rtol=1e-2)
    with pytest.raises(BadImageError, match=r"no mask: .*cat/2\.png does not exist"):
        encode_style(stylizer, "cat/2", style, StyleView(masks=tmp_path))
    Image.new("L", (16, 16)).save(tmp_path / "black.png")
    with pytest.raises(BadImageError, match="mask of this style is black everywhere"):
        encode_style(stylizer, "black", style, StyleView(masks=tmp_path))


def test_a_crop_takes_the_centre_of_a_style():
    stylizer, style = tiny_stylizer(), picture(0, (40, 32))
    cropped = encode_style(stylizer, "a", style, StyleView(crop=0.5))
    np.testing.assert_array_equal(cropped, stylizer.encode(style.crop((12, 8, 28, 24))))
    with pytest.raises(BadImageError, match=r"40 × 32 pixels, of which 0.4 of the shorter side is taken: too small"):
        encode_style(stylizer, "a", style, StyleView(crop=0.4))


def test_features_before_a_relu_that_overwrites_them_are_those_of_the_layer():
    features = LayerOutputs(tiny_network(), ["0", "1"])(torch.randn(1, 3, 8, 8))
    assert (features["0"] < 0).any()
    torch.testing.assert_close(features["1"], features["0"].relu())


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "convnext_atto", "torchvision/squeezenet1_1"])
def test_any_convolutional_network_gives_features(name):
    """Those of timm have control flow that depends on the input, so they cannot be traced."""
    network = build(name)
    layers = [layer for layer, module in network.named_modules() if isinstance(module, nn.Conv2d)][:2]
    settings = GatysSettings(timm=name, content_layers=(*layers[1:],), style_layers=(*layers,), steps=8)
    stylizer = GatysStylizer(network, preparation(network), settings)
    content = picture(0, (64, 64))
    (image,) = stylizer.apply([content], stylizer.encode(picture(1, (64, 64)))[None], 1.0)
    assert image.size == content.size
    assert np.asarray(image).std() > 0
    assert (np.asarray(image) != np.asarray(content)).any()


def test_only_the_ratio_of_the_weights_counts():
    """torch's L-BFGS stops at changes below 1e-9 and ignores curvatures below 1e-10, unless losses are large."""
    content, style = picture(0), tiny_stylizer().encode(picture(1))
    results = [
        np.asarray(tiny_stylizer(content_weight=scale, style_weight=10 * scale).apply([content], style[None], 1.0)[0])
        for scale in (1.0, 1e-6, 1e6)
    ]
    assert (results[0] != np.asarray(content)).any()
    for result in results[1:]:
        np.testing.assert_allclose(result.astype(int), results[0].astype(int), atol=2)


class Residual(nn.Module):
    """A block that adds its input to its output in place, as those of torchvision's and timm's ResNets do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        output = self.conv(inputs)
        output += inputs
        return output


def test_an_output_that_the_next_operation_overwrites_is_kept_as_it_was():
    block, inputs = Residual(), torch.randn(1, 3, 4, 4)
    features = LayerOutputs(block, ["conv"])(inputs)
    torch.testing.assert_close(features["conv"], block.conv(inputs))


class ChannelsLast(nn.Module):
    """A convolution whose output has its channels behind its positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(inputs).permute(0, 2, 3, 1))


def test_what_a_network_cannot_take_or_give_is_refused():
    last = GatysStylizer(ChannelsLast(), PREPARED, GatysSettings("last", ("last",), ("last",)))
    with pytest.raises(UserError, match=r"'last' gives values of the form \(1, 30, 30, 4\) for images of 32 × 32"):
        last.encode(picture(0, (32, 32)))
    deep = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 40))
    stylizer = GatysStylizer(deep, PREPARED, GatysSettings("deep", ("0",), ("0",)))
    with pytest.raises(UserError, match=r"network 'deep' takes no images of 32 × 32 pixels \(.*; choose a larger size"):
        stylizer.encode(picture(0, (32, 32)))
    damaged = tiny_network()
    nn.init.constant_(damaged[0].get_parameter("weight"), float("nan"))
    with pytest.raises(UserError, match="'a tiny network' gives values that are not finite; are its weights"):
        GatysStylizer(damaged, PREPARED, SETTINGS).encode(picture(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("steps", 0), ("steps", 2.5), ("steps", "3"), ("style_weight", 0), ("style_weight", float("nan"))],
        *[("content_weight", -1), ("style_layers", []), ("style_layers", "features.1"), ("style_layers", ["1", "1"])],
        *[("content_layers", None), ("timm", "")],
    ],
)
def test_a_setting_of_another_type_or_range_is_named(name, value):
    with pytest.raises(UserError, match=rf"gatys: {name} is .*; expected "):
        make_settings({name: value})


def test_masks_that_would_select_something_else_are_refused(tmp_path):
    """An object that was cut out stands on white once its transparency is gone: its background would count."""
    stylizer, style = tiny_stylizer(), picture(0, (32, 32))
    mask = Image.new("L", (32, 32), 255)
    cut_out = mask.convert("RGBA")
    cut_out.putalpha(Image.linear_gradient("L").resize((32, 32)))
    cut_out.save(tmp_path / "cut.png")
    mask.resize((64, 20)).save(tmp_path / "wide.png")
    mask.convert("RGBA").save(tmp_path / "opaque.png")
    with pytest.raises(BadImageError, match=r"cut\.png has transparent pixels; a mask is white where the object is"):
        encode_style(stylizer, "cut", style, StyleView(masks=tmp_path))
    with pytest.raises(BadImageError, match=r"wide\.png has 64 × 20 pixels, another shape than its style of 32 × 32"):
        encode_style(stylizer, "wide", style, StyleView(masks=tmp_path))
    np.testing.assert_array_equal(
        encode_style(stylizer, "opaque", style, StyleView(masks=tmp_path)), stylizer.encode(mask_all(style))
    )


def mask_all(style: Image.Image) -> Image.Image:
    """Return an image whose pixels are all opaque."""
    opaque = style.copy()
    opaque.putalpha(255)
    return opaque


def test_layers_of_vgg_have_the_names_of_the_paper():
    with torch.device("meta"):
        network = vgg19()
    layers = module_names(network, ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1", "features.0"])
    modules = [network.get_submodule(layer) for layer in layers[:-1]]
    assert all(isinstance(module, nn.ReLU) for module in modules)
    assert layers == [f"features.{index}" for index in (1, 6, 11, 20, 22, 29, 0)]


def test_wrong_layers_are_named():
    with pytest.raises(UserError, match=r"Sequential has no layer 'conv4_2'; it has 0, 1, 2, 3, 4$"):
        tiny_stylizer(content_layers=("conv4_2",))
    with pytest.raises(UserError, match=r"'a tiny network': layer '4' gives values of 2 dimensions; choose a layer"):
        tiny_stylizer(content_layers=("4",)).apply([picture(0)], np.zeros((1, 57)), 1.0)
    idle = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MultiheadAttention(4, 1))
    idle.forward = idle[0].forward
    stylizer = GatysStylizer(idle, PREPARED, GatysSettings("idle", ("1",), ("0",)))
    with pytest.raises(UserError, match=r"network 'idle': layer '1' gives no tensor; choose a layer"):
        stylizer.encode(picture(0))


def test_settings_and_weights_of_another_stylizer_are_refused():
    with pytest.raises(UserError, match=r"steps: settings of gatys; the stylizer ghiasi has none of them"):
        make_stylizer("ghiasi", settings={"steps": 3})
    with pytest.raises(UserError, match=r"needs the weights of torchvision/vgg19"):
        make_stylizer("gatys")
    with pytest.raises(UserError, match=r"step: no setting of the stylizer gatys; it has timm, content_layers"):
        make_settings({"step": 3})
    assert make_settings({"style_layers": ["a"]}).style_layers == ("a",)


def test_smoothing_divides_a_wave_by_the_root_of_its_frequency():
    column = torch.arange(8)
    for cycles, factor in ((0, 1), (1, 1), (4, 2)):
        wave = torch.cos(2 * torch.pi * cycles * column / 8).expand(1, 3, 6, 8)
        torch.testing.assert_close(smooth(wave), wave / factor, atol=1e-6, rtol=0)
