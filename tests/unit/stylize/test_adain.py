"""AdaIN equals the paper's formulas and loads only weights of the published layouts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import picture
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import vgg

from shapebias.errors import UserError
from shapebias.stylize.adain import (
    AdainStylizer,
    encoder_hash,
    load_encoder,
    make_decoder,
    make_encoder,
    random_encoder,
    read_adain,
)
from shapebias.stylize.pipeline import stylize_in_batches

WIDTH = 8  # an eighth of VGG-19's, for speed; one test takes the published width


def weights(width: int = WIDTH, seed: int = 0) -> tuple[dict, dict]:
    """Return random weights in the published layout; the decoder's output has some contrast around grey."""
    decoder, generator = make_decoder(width), torch.Generator().manual_seed(seed)
    for module in decoder:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            torch.nn.init.constant_(module.get_parameter("bias"), 0.1)
    images = torch.rand(4, 3, 32, 32, generator=generator)
    return random_encoder(width, seed, images).state_dict(), decoder.state_dict()


def stylizer(width: int = WIDTH) -> AdainStylizer:
    encoder, decoder = make_encoder(width), make_decoder(width)
    for network, state in zip((encoder, decoder), weights(width), strict=True):
        network.load_state_dict(state)
    return AdainStylizer(encoder, decoder, "cpu")


# The oracle: Huang and Belongie 2017, one image at a time, in plain torch, from the paper and the published layout.


def padded_convolution(x: torch.Tensor, state: dict, key: int) -> torch.Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), state[f"{key}.weight"], state[f"{key}.bias"])


def published_encoder(x: torch.Tensor, state: dict) -> torch.Tensor:
    """Run VGG-19 to relu4_1: pools (2 × 2, ceiling) after the 2nd, 4th and 8th convolution."""
    x = F.conv2d(x, state["0.weight"], state["0.bias"])
    for key in (2, 5, "pool", 9, 12, "pool", 16, 19, 22, 25, "pool", 29):
        x = F.max_pool2d(x, 2, ceil_mode=True) if key == "pool" else F.relu(padded_convolution(x, state, int(key)))
    return x


def published_decoder(x: torch.Tensor, state: dict) -> torch.Tensor:
    for key in (1, "up", 5, 8, 11, 14, "up", 18, 21, "up", 25):
        x = (
            x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            if key == "up"
            else F.relu(padded_convolution(x, state, key))
        )
    return padded_convolution(x, state, 28)


def published(content: Image.Image, style: Image.Image, alpha: float, width: int = WIDTH) -> np.ndarray:
    """Apply equations 8 and 14 of the paper with the published code's statistics; return unrounded grey levels."""
    encoder, decoder = weights(width)
    features, target = (
        published_encoder(torch.tensor(np.asarray(image) / 255, dtype=torch.float32).permute(2, 0, 1)[None], encoder)
        for image in (content, style)
    )
    moved = torch.empty_like(features)
    for channel in range(features.shape[1]):
        x, y = features[0, channel].flatten(), target[0, channel].flatten()
        sigma_x = (((x - x.mean()) ** 2).sum() / (len(x) - 1) + 1e-5) ** 0.5
        sigma_y = (((y - y.mean()) ** 2).sum() / (len(y) - 1) + 1e-5) ** 0.5
        moved[0, channel] = sigma_y * (features[0, channel] - x.mean()) / sigma_x + y.mean()
    decoded = published_decoder(alpha * moved + (1 - alpha) * features, decoder)
    return (decoded[0].permute(1, 2, 0).clamp(0, 1) * 255).numpy()[: content.height, : content.width]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("content", "style"), [((64, 64), (96, 64)), ((67, 50), (40, 77)), ((33, 90), (16, 16))])
def test_stylizing_equals_the_published_formulas_within_one_grey_level(content, style, alpha):
    adain, image, painting = stylizer(), picture(1, content), picture(2, style)
    (stylized,) = adain.apply([image], adain.encode(painting)[None], alpha)
    expected = published(image, painting, alpha)
    assert expected.std() > 5  # not a uniform grey image
    assert stylized.size == content
    assert np.abs(np.asarray(stylized) - expected).max() <= 1


def test_stylizing_equals_the_formulas_at_the_published_width():
    adain, image, painting = stylizer(64), picture(1, (48, 40)), picture(2, (64, 56))
    (stylized,) = adain.apply([image], adain.encode(painting)[None], 1.0)
    assert np.abs(np.asarray(stylized) - published(image, painting, 1.0, 64)).max() <= 1


def test_a_result_does_not_depend_on_the_other_images_of_its_batch():
    adain, images = stylizer(), [picture(i, (48, 40)) for i in range(7)]
    styles = [adain.encode(picture(10 + i, (40, 40))) for i in range(7)]
    alone = [stylize_in_batches(adain, [image], [style], 1.0)[0] for image, style in zip(images, styles, strict=True)]
    together = stylize_in_batches(adain, images, styles, 1.0)
    assert [image.tobytes() for image in together] == [image.tobytes() for image in alone]


def test_a_batch_equals_single_images_within_a_grey_level():
    adain, images = stylizer(), [picture(i, (48, 40)) for i in range(3)]
    styles = np.stack([adain.encode(picture(10 + i, (40, 40))) for i in range(3)])
    for i, stylized in enumerate(adain.apply(images, styles, 1.0)):
        alone = adain.apply(images[i : i + 1], styles[i : i + 1], 1.0)[0]
        assert np.abs(np.asarray(stylized, int) - np.asarray(alone, int)).max() <= 1


# Weights


def folder(path: Path, encoder: dict, decoder: dict, names: tuple[str, str] = ("encoder.pth", "decoder.pth")) -> Path:
    path.mkdir(exist_ok=True)
    for name, state in zip(names, (encoder, decoder), strict=True):
        torch.save(state, path / name)
    return path


def test_the_published_file_with_all_of_vgg_19_loads_by_its_keys(tmp_path):
    encoder, decoder = weights()
    # Its later stages, relu4_2 to relu5_4: modules 32 to 51.
    later = {f"{i}.{kind}": torch.zeros(1) for i in (32, 35, 38, 42, 45, 48, 51) for kind in ("weight", "bias")}
    folder(tmp_path / "published", encoder | later, decoder, ("vgg_normalised.pth", "decoder.pth"))
    adain = read_adain(tmp_path / "published")
    assert adain.fingerprint == stylizer().fingerprint
    image, painting = picture(1), picture(2)
    stylized, expected = (a.apply([image], a.encode(painting)[None], 1.0)[0] for a in (adain, stylizer()))
    assert stylized.tobytes() == expected.tobytes()


def vgg_features(letter: str) -> torch.nn.Sequential:
    """Return the convolutional part of torchvision's VGG: A has 11 layers, E has 19."""
    return vgg.make_layers(vgg.cfgs[letter])


def test_torchvision_s_vgg_19_is_converted_with_its_normalization(tmp_path):
    torch.manual_seed(0)
    theirs = vgg_features("E")
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    torch.save(state, tmp_path / "vgg19.pth")
    encoder = load_encoder(tmp_path / "vgg19.pth").eval()
    x = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        # Compare away from the border, which torchvision pads with zeros and AdaIN by reflection.
        ours, expected = encoder[:4](x), theirs[:2]((x - mean) / std)
        torch.testing.assert_close(ours[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)
    converted = encoder.state_dict()
    assert all(torch.equal(converted[f"{i}.bias"], state[f"features.{j}.bias"]) for i, j in ((16, 10), (29, 19)))


def test_other_files_are_refused_by_name(tmp_path):
    encoder, decoder = weights()
    unrelated = {"conv1.weight": torch.zeros(64, 3, 7, 7)}
    with pytest.raises(UserError, match=r"encoder\.pth: not AdaIN's encoder: it has the keys conv1\.weight"):
        read_adain(folder(tmp_path / "a", unrelated, decoder))
    with pytest.raises(UserError, match=r"decoder\.pth.*weights of another architecture.*missing"):
        read_adain(folder(tmp_path / "b", encoder, unrelated))
    with pytest.raises(UserError, match=r"decoder\.pth, decoder of an encoder of width 8.*of another shape"):
        read_adain(folder(tmp_path / "c", encoder, make_decoder(16).state_dict()))
    cut = {key: value for key, value in encoder.items() if not key.startswith("29.")}
    with pytest.raises(UserError, match=r"encoder\.pth: weights of another architecture.*2 missing, first 29\.weight"):
        read_adain(folder(tmp_path / "d", cut, decoder))
    vgg11 = vgg_features("A").state_dict()
    torch.save({f"features.{key}": value for key, value in vgg11.items()}, tmp_path / "vgg11.pth")
    with pytest.raises(UserError, match=r"vgg11\.pth: not torchvision's vgg19"):
        load_encoder(tmp_path / "vgg11.pth")


def test_a_folder_must_have_exactly_one_encoder_and_one_decoder(tmp_path):
    encoder, decoder = weights()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: expected exactly one of .*vgg_normalised\.pth, found none of them"):
        read_adain(tmp_path / "empty")
    folder(tmp_path / "two", encoder, decoder)
    torch.save(encoder, tmp_path / "two" / "vgg_normalised.pth")
    with pytest.raises(UserError, match=r"found encoder\.pth and vgg_normalised\.pth"):
        read_adain(tmp_path / "two")


def test_our_own_decoder_loads_only_with_its_encoder(tmp_path):
    ours, unrelated = (random_encoder(WIDTH, seed, torch.rand(4, 3, 32, 32)) for seed in (0, 1))
    metadata = {"shapebias": f'{{"encoder": "{encoder_hash(ours)}"}}'}
    save_file(make_decoder(WIDTH).state_dict(), tmp_path / "decoder.safetensors", metadata=metadata)
    save_file(ours.state_dict(), tmp_path / "encoder.safetensors")
    assert read_adain(tmp_path).fingerprint == f"adain-{encoder_hash(ours)[:16]}"
    save_file(unrelated.state_dict(), tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=r"decoder\.safetensors: trained for the encoder .* but this one is"):
        read_adain(tmp_path)
