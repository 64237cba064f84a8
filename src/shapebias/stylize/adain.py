"""AdaIN: style transfer by the mean and standard deviation of features (Huang and Belongie 2017, arXiv 1703.06868).

The networks have the layout of the published PyTorch code (naoto0804/pytorch-AdaIN), so its weights files load by
their keys. `width` is the number of channels of the first stage, 64 in VGG-19; later stages have 2, 4 and 8
times as many.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.networks.weights import State, load_weights, read_weights

EPSILON = 1e-5  # added to a variance before taking its root
STRIDE = 8  # the encoder halves an image three times
RELUS = (3, 10, 17, 30)  # modules of the encoder: relu1_1, relu2_1, relu3_1, relu4_1
ENCODER_FILES = ("encoder.safetensors", "encoder.pth", "vgg_normalised.pth")
DECODER_FILES = ("decoder.safetensors", "decoder.pth")
# torchvision's VGG-19: the convolutions up to relu4_1 in its `features`, and in the published encoder.
TORCHVISION_CONVOLUTIONS = dict(zip((0, 2, 5, 7, 10, 12, 14, 16, 19), (2, 5, 9, 12, 16, 19, 22, 25, 29), strict=True))
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def convolution(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 3 × 3 convolution with reflection padding, then ReLU."""
    return [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True)]


def make_encoder(width: int = 64) -> nn.Sequential:
    """Return VGG-19 up to relu4_1: RGB in [0, 1], [B, 3, H, W] → [B, 8·width, ⌈H/8⌉, ⌈W/8⌉]."""
    a, b, c, d = (width * factor for factor in (1, 2, 4, 8))
    pool = nn.MaxPool2d(2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 3, 1),  # these weights hold VGG's input normalization
        *[*convolution(3, a), *convolution(a, a), pool],
        *[*convolution(a, b), *convolution(b, b), pool],
        *[*convolution(b, c), *convolution(c, c), *convolution(c, c), *convolution(c, c), pool],
        *convolution(c, d),
    )


def make_decoder(width: int = 64) -> nn.Sequential:
    """Return the encoder's mirror image: [B, 8·width, H, W] → RGB, about [0, 1], [B, 3, 8·H, 8·W]."""
    a, b, c, d = (width * factor for factor in (1, 2, 4, 8))
    double = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(
        *[*convolution(d, c), double],
        *[*convolution(c, c), *convolution(c, c), *convolution(c, c), *convolution(c, b), double],
        *[*convolution(b, b), *convolution(b, a), double],
        *[*convolution(a, a), *convolution(a, 3)[:2]],
    )


def mean_std(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each channel's mean and standard deviation, [B, C, H, W] → [B, C] twice, as in the published code.

    The standard deviation is the root of the unbiased variance plus EPSILON.
    """
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=1)
    return mean, (variance + EPSILON).sqrt()


def adain(
    features: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, alpha: float | torch.Tensor = 1.0
) -> torch.Tensor:
    """Give features [B, C, H, W] the mean and standard deviation of a style (each [B, C]).

    alpha: 1 applies the style's statistics fully, 0 leaves the features unchanged. Mixing features, as the paper does,
    equals this mix of statistics.
    """
    content_mean, content_std = mean_std(features)
    scale = alpha * std / content_std + (1 - alpha)
    shift = alpha * (mean - content_mean * std / content_std)
    return features * scale[:, :, None, None] + shift[:, :, None, None]


class AdainStylizer:
    """An encoder and a decoder that stylize images.

    They run in float32 on a CPU, and in half precision on a GPU, with statistics in float32.
    """

    name = "adain"
    resample = Image.Resampling.BILINEAR  # torchvision's Resize

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential, device: str) -> None:
        self.fingerprint = f"adain-{encoder_hash(encoder)[:16]}"
        self.device = torch.device(device)
        self.half = self.device.type == "cuda"
        # On a CPU a batch is hardly faster, and an image's last bits would depend on its neighbours in the batch.
        self.batch_size = 32 if self.half else 1
        self.encoder = self.prepare(encoder)
        self.decoder = self.prepare(decoder if self.half else merge_upsampling(decoder))

    def prepare(self, network: nn.Sequential) -> nn.Sequential:
        """Freeze a network and move it to the device, in the device's precision."""
        network = network.eval().requires_grad_(False).to(self.device)
        network.to(memory_format=torch.channels_last)
        return network.half() if self.half else network

    def batch(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Convert RGB images of one size to [B, 3, H, W] in [0, 1], channels last in memory."""
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).to(self.device)
        return pixels.permute(0, 3, 1, 2).to(torch.float16 if self.half else torch.float32).div_(255)

    @torch.inference_mode()
    def encode(self, style: Image.Image) -> np.ndarray:
        """Return the style vector of an RGB image at its own size, float32 [2C]: means, then standard deviations."""
        mean, std = mean_std(self.encoder(self.batch([style])).float())
        return torch.cat([mean[0], std[0]]).cpu().numpy()

    @torch.inference_mode()
    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """Stylize RGB images of one size, each in its style (vectors [B, 2C]); strength is the paper's α.

        The decoder returns 8·⌈side / 8⌉ pixels per side; the excess is cut off at the right and bottom.
        """
        width, height = contents[0].size
        mean, std = torch.from_numpy(np.asarray(styles, np.float32)).to(self.device).chunk(2, dim=1)
        features = self.encoder(self.batch(contents))
        target = adain(features.float(), mean, std, strength).to(features.dtype)
        decoded = self.decoder(target)[:, :, :height, :width].float()
        pixels = decoded.clamp_(0, 1).mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(image) for image in pixels]


class DoubledConvolution(nn.Module):
    """A 3 × 3 convolution of an image that is first enlarged twice (nearest neighbour) and reflected at its border.

    Any nine neighbouring pixels of the enlarged image have at most four values. Each of the four kinds of output
    pixels is therefore a 2 × 2 convolution of the original image with a repeated border: the same sums for 4/9 of the
    work.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.register_buffer("bias", convolution.get_parameter("bias").detach())
        for row in (0, 1):
            for column in (0, 1):
                kernel = merge_taps(merge_taps(convolution.weight.detach(), 2, row), 3, column)
                self.register_buffer(f"kernel_{row}{column}", kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, D, 2H, 2W]."""
        batch, _, height, width = x.shape
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        size = (batch, len(self.get_buffer("bias")), 2 * height, 2 * width)
        output = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for row in (0, 1):
            for column in (0, 1):
                part = x[:, :, row : row + height + 1, column : column + width + 1]
                kernel = self.get_buffer(f"kernel_{row}{column}")
                output[:, :, row::2, column::2] = F.conv2d(part, kernel, self.get_buffer("bias"))
        return output


def merge_taps(kernel: torch.Tensor, dim: int, place: int) -> torch.Tensor:
    """Merge a kernel's three taps into two for the image at half size; place: first (0) or second (1) output pixel."""
    first, second, third = kernel.unbind(dim)
    return torch.stack([first, second + third] if place == 0 else [first + second, third], dim)


def merge_upsampling(decoder: nn.Sequential) -> nn.Sequential:
    """Return the same decoder with each enlargement, reflection and convolution as one DoubledConvolution."""
    modules, merged = list(decoder), list[nn.Module]()
    while modules:
        module = modules.pop(0)
        if isinstance(module, nn.Upsample):
            _, following = modules.pop(0), modules.pop(0)
            assert isinstance(following, nn.Conv2d)
            module = DoubledConvolution(following)
        merged.append(module)
    return nn.Sequential(*merged)


def read_adain(folder: Path, device: str = "cpu") -> AdainStylizer:
    """Load a stylizer from a folder with the weights of its encoder and decoder.

    Raises UserError unless the folder has exactly one file of each, with weights of these networks.
    """
    encoder = load_encoder(find_one_file(folder, ENCODER_FILES))
    return AdainStylizer(encoder, load_decoder(find_one_file(folder, DECODER_FILES), encoder), device)


def find_one_file(folder: Path, names: Sequence[str]) -> Path:
    """Return the only file in a folder with one of these names; raises UserError for none or several."""
    files = [folder / name for name in names if (folder / name).is_file()]
    if len(files) != 1:
        existing = " and ".join(path.name for path in files) or "none of them"
        raise UserError(
            f"{folder}: expected exactly one of {', '.join(names)}, found {existing}; docs/data.md lists their sources"
        )
    return files[0]


def load_encoder(path: Path) -> nn.Sequential:
    """Load an encoder: the published file (VGG-19 or its part up to relu4_1), our own format, or torchvision's VGG-19.

    Raises UserError for other files.
    """
    state, _ = read_weights(path)
    if "features.0.weight" in state:
        state = convert_torchvision_weights(state, path)
    first = state.get("2.weight")
    if first is None or first.ndim != 4:
        raise UserError(
            f"{path}: not AdaIN's encoder: it has the keys {', '.join(list(state)[:3])}, …; "
            f"expected vgg_normalised.pth or torchvision's vgg19 ({', '.join(ENCODER_FILES)})"
        )
    encoder = make_encoder(first.shape[0])
    expected = encoder.state_dict()
    # The file may contain the rest of VGG-19, after relu4_1.
    load_weights(encoder, {key: value for key, value in state.items() if key in expected}, str(path))
    return encoder


def convert_torchvision_weights(state: State, path: Path) -> State:
    """Convert torchvision's VGG-19 to the published layout; its normalization becomes the first, 1 × 1 convolution."""
    std = torch.tensor(IMAGENET_STD)
    converted: State = {
        "0.weight": torch.diag(1 / std)[:, :, None, None],
        "0.bias": -torch.tensor(IMAGENET_MEAN) / std,
    }
    for source, target in TORCHVISION_CONVOLUTIONS.items():
        for kind in ("weight", "bias"):
            if f"features.{source}.{kind}" not in state:
                raise UserError(
                    f"{path}: not torchvision's vgg19: features.{source}.{kind} is missing (vgg19_bn and vgg16 differ)"
                )
            converted[f"{target}.{kind}"] = state[f"features.{source}.{kind}"]
    return converted


def load_decoder(path: Path, encoder: nn.Sequential) -> nn.Sequential:
    """Load an encoder's decoder, published or our own; raises UserError for other files or another encoder."""
    state, metadata = read_weights(path)
    decoder = make_decoder(encoder_width(encoder))
    load_weights(decoder, state, f"{path}, decoder of an encoder of width {encoder_width(encoder)}")
    trained_for = metadata.get("encoder", encoder_hash(encoder))
    if trained_for != encoder_hash(encoder):
        raise UserError(
            f"{path}: trained for the encoder {trained_for[:16]}, but this one is {encoder_hash(encoder)[:16]}; "
            f"use the encoder that was written beside this decoder"
        )
    return decoder


@torch.no_grad()
def random_encoder(width: int, seed: int, images: torch.Tensor) -> nn.Sequential:
    """Return an encoder of random filters, which also describe texture (Ustyuzhaninov et al. 2016, arXiv 1606.00021).

    Layers that keep the number of channels are the identity, and only layers that increase it are random: no outline
    would survive nine random layers.
    images: [B, 3, H, W] in [0, 1]. Over these images, each channel of a random layer is scaled and shifted to standard
    deviation 1 and mean 1 before its ReLU, so that the ReLU cuts off little.
    """
    encoder, generator, x = make_encoder(width), torch.Generator().manual_seed(seed), images
    for index, module in enumerate(encoder):
        if isinstance(module, nn.Conv2d):
            bias = module.get_parameter("bias")
            nn.init.constant_(bias, 0)
            if module.in_channels == module.out_channels:
                nn.init.dirac_(module.weight)
            else:
                nn.init.orthogonal_(module.weight, generator=generator)
            if index == 0 or module.in_channels != module.out_channels:
                variance, mean = torch.var_mean(module(x), dim=(0, 2, 3))
                scale = 1 / (variance + EPSILON).sqrt()
                module.weight.mul_(scale[:, None, None, None])
                bias.copy_(int(index > 0) - mean * scale)  # the RGB layer has mean 0, since no ReLU follows it
        x = module(x)
    return encoder


def encoder_width(encoder: nn.Sequential) -> int:
    """Return the number of channels of an encoder's first stage."""
    return encoder[2].out_channels  # ty: ignore[invalid-explicit-return]


def encoder_hash(encoder: nn.Module) -> str:
    """Return the SHA-256 of an encoder's weights, independent of their file format."""
    digest = hashlib.sha256()
    for key, value in encoder.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
