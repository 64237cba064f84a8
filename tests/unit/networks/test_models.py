"""Networks: building by name, image preparation as in timm and torchvision, and decisions."""

import json
import re
import socket
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers import TINY_RESNET, picture, same_weights, tiny_resnet
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageNetInfo
from torch import nn

from shapebias.categories import ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.evaluation.observer import Observer, category_probabilities, load_observer, observe
from shapebias.images.pictures import ImageFile
from shapebias.images.shards import label
from shapebias.networks.device import resolve_device, write_new_outputs
from shapebias.networks.models import (
    Preparation,
    build,
    category_indices,
    classifier,
    input_dtype,
    memory_format,
    preparation,
)

# Networks


def test_an_unknown_network_is_refused_with_a_near_name():
    with pytest.raises(UserError, match=r"'resnet5O'.*did you mean 'resnet50"):
        build("resnet5O")


def test_kwargs_that_do_not_fit_a_network_are_refused_by_name():
    with pytest.raises(UserError, match=r"resnet10t.*patch_size"):
        build("resnet10t", kwargs={"patch_size": 8})


def test_kwargs_without_a_meaning_are_refused_with_torch_s_reason():
    with pytest.raises(UserError, match=r"resnet10t.*'stem_width': -1.* negative dimension"):
        build("resnet10t", kwargs={"stem_width": -1})


def test_a_network_without_published_weights_is_named():
    with pytest.raises(UserError, match=r"'resnet200'.*: No pretrained weights exist for resnet200"):
        build("resnet200", pretrained=True)


def test_a_download_that_fails_is_reported_with_what_to_do(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ConnectionResetError("the hub is overloaded")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it can be reached
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(UserError, match=r"'resnet10t': its .* could not be downloaded \(ConnectionResetError\)"):
            build("resnet10t", pretrained=True)


def test_unreachable_published_weights_are_reported_at_once(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"'resnet10t'.* http://127\.0\.0\.1:9 cannot be reached; .*target `downloads`"):
        build("resnet10t", pretrained=True)


def test_networks_on_the_hub_need_a_whole_name_and_the_internet(monkeypatch):
    with pytest.raises(UserError, match=r"'hf-hub:resnet50' is no name .* expected hf-hub:OWNER/NAME, perhaps with @"):
        build("hf-hub:resnet50")
    with pytest.raises(UserError, match=r"'timm/resnet5': .* hub is called hf-hub:timm/resnet5"):
        build("timm/resnet5")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"'hf-hub:timm/resnet10t\.c3_in1k'.* cannot be reached; .*no internet"):
        build("hf-hub:timm/resnet10t.c3_in1k")


def test_a_network_on_the_hub_has_its_architecture_weights_and_preparation_from_there(monkeypatch, tmp_path):
    network, commit = tiny_resnet(5, seed=3), "0" * 40
    repository = tmp_path / "models--somebody--tiny"  # the cache of the hub's client, which needs no internet
    folder = repository / "snapshots" / commit
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    described: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "input_size": [3, 64, 64]}
    described |= {"first_conv": "conv1.0", "classifier": "fc", "num_classes": 5, "crop_pct": 1.0}
    described["interpolation"] = "bilinear"
    config = {"architecture": "resnet10t", "num_classes": 5, "model_args": TINY_RESNET, "pretrained_cfg": described}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "model.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    loaded = build("hf-hub:somebody/tiny", pretrained=True)
    assert same_weights(loaded, network)
    assert preparation(loaded) == Preparation(64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear", 1.0)
    assert not same_weights(build("hf-hub:somebody/tiny"), network)
    with pytest.raises(UserError, match="published weights have 5 outputs, not 2"):
        build("hf-hub:somebody/tiny", classes=2, pretrained=True)
    with pytest.raises(UserError, match=r"'hf-hub:somebody/other': the hub has no description .* \(LocalEntryNotFound"):
        build("hf-hub:somebody/other")


def test_published_weights_that_do_not_fit_kwargs_are_refused(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: tiny_resnet(1000).state_dict())
    with pytest.raises(
        UserError, match=r"'resnet10t' with kwargs .*its published weights have another architecture: .+"
    ):
        build("resnet10t", kwargs={"channels": [16, 8, 8, 8]}, pretrained=True)


@pytest.fixture
def published(tmp_path):
    """Return kwargs of a tiny network whose published weights are a file on this machine."""
    save_file(tiny_resnet(1000).state_dict(), tmp_path / "published.safetensors")
    overlay = {"file": str(tmp_path / "published.safetensors"), "hf_hub_id": "", "url": ""}
    return TINY_RESNET | {"pretrained_cfg_overlay": overlay}


def test_published_weights_are_loaded_as_they_are(published):
    assert same_weights(build("resnet10t", kwargs=published, pretrained=True), tiny_resnet(1000))
    assert same_weights(build("resnet10t", classes=1000, kwargs=published, pretrained=True), tiny_resnet(1000))


def test_a_classifier_that_no_file_fills_is_refused(published):
    message = r"'resnet10t': its published weights have 1,000 outputs, not 4, and a classifier of another size would be"
    with pytest.raises(UserError, match=message):
        build("resnet10t", classes=4, kwargs=published, pretrained=True)
    with pytest.raises(UserError, match=message):
        build("resnet10t", kwargs=published | {"num_classes": 4}, pretrained=True)
    with pytest.raises(UserError, match=message):  # without asking the internet
        load_observer("resnet10t", classes={"a": "cat", "b": "dog", "c": "", "d": ""})


def test_layers_that_no_file_fills_are_refused(tmp_path):
    """timm asks some weights to be complete only if a network is built as published; DLA's never."""
    kwargs = {"embed_dim": 8, "num_heads": 1, "depth": 1}
    save_file(build("vit_tiny_patch16_224", kwargs=kwargs).state_dict(), tmp_path / "published.safetensors")
    overlay = {"file": str(tmp_path / "published.safetensors"), "hf_hub_id": "", "url": ""}
    deeper = {"pretrained_cfg_overlay": overlay, "pretrained_strict": False, "depth": 2}
    with pytest.raises(
        UserError, match=r"published weights lack 12 tensors of this network, first blocks\.1\..* random"
    ):
        build("vit_tiny_patch16_224", kwargs=kwargs | deeper, pretrained=True)


def test_numbers_of_outputs_that_disagree_are_refused():
    with pytest.raises(UserError, match=r"kwargs num_classes 5, but there are 2 classes"):
        build("resnet10t", classes=2, kwargs={"num_classes": 5})


def test_an_unknown_tag_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"no weights 'a1_in1kk' of resnet50; did you mean 'a1_in1k'\? it has a1_in1k"):
        build("resnet50.a1_in1kk", pretrained=True)
    with pytest.raises(UserError, match=r"no weights 'nonsense' of resnet50; it has a1_in1k, "):
        build("resnet50.nonsense")


def test_a_missing_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(UserError, match="'cuda:3'"):
        resolve_device("cuda:3")


def test_a_gpu_that_exists_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [resolve_device(name) for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_activations_that_need_their_input_write_new_outputs_with_the_same_gradients():
    values = torch.linspace(-1, 7, 9)

    def gradient(network: nn.Module) -> torch.Tensor:
        inputs = values.clone().requires_grad_()
        network(inputs * 1).sum().backward()
        assert inputs.grad is not None
        return inputs.grad

    network = nn.Sequential(nn.SiLU(inplace=True), nn.ReLU6(inplace=True), nn.ReLU(inplace=True))
    before = gradient(network)
    write_new_outputs(network)
    assert [layer.inplace for layer in network] == [False, False, True]
    assert torch.equal(gradient(network), before)


# torchvision's networks


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("torchvision/resnet50", 25_557_032),
        ("torchvision/vit_b_16", 86_567_656),
        ("torchvision/vit_b_32", 88_224_232),
        ("torchvision/convnext_small", 50_223_688),
        ("torchvision/alexnet", 61_100_840),
        ("torchvision/vgg16", 138_357_544),
        ("coatnet_0_rw_224.sw_in1k", 27_435_562),  # "27.4 M"
    ],
)
def test_the_study_s_networks_have_the_published_number_of_parameters(name, parameters):
    with torch.device("meta"):  # without initializing the weights
        assert sum(p.numel() for p in build(name).parameters()) == parameters


@pytest.mark.parametrize("name", ["torchvision/resnet50", "torchvision/alexnet", "torchvision/vit_b_32"])
def test_a_torchvision_network_has_the_requested_number_of_outputs(name):
    with torch.device("meta"):
        network = build(name, classes=7).eval()
    network.to_empty(device="cpu")  # any weights will do, and random ones take longer than the rest of the test
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
    assert memory_format(network, 224) in (torch.channels_last, torch.contiguous_format)


def test_preparation_equals_torchvision_s_evaluation():
    assert vars(preparation(build("torchvision/squeezenet1_1"))) == {
        "size": 224,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "interpolation": "bilinear",
        "crop": 224 / 256,
        "resizes_all": False,
    }
    with torch.device("meta"):
        assert preparation(build("torchvision/convnext_small")).crop == 224 / 230
        assert preparation(build("torchvision/resnet50.IMAGENET1K_V2")).crop == 224 / 232
        assert preparation(build("torchvision/efficientnet_v2_l")).mean == (0.5, 0.5, 0.5)
        assert preparation(build("torchvision/vit_b_32", kwargs={"image_size": 64})).size == 64
        assert preparation(build("torchvision/vit_b_16.IMAGENET1K_SWAG_E2E_V1")).size == 384


def test_a_photograph_is_prepared_as_by_torchvision():
    prepared = preparation(build("torchvision/squeezenet1_1"))
    image = picture(0, (512, 384))
    theirs = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    ours = prepared.tensor([np.asarray(prepared.resize_and_crop(image))])[0]
    np.testing.assert_allclose(ours, theirs(image), atol=0.02)  # 1/255 of a value, over std


@pytest.fixture
def put_weights(tmp_path, monkeypatch):
    """Return a function that saves a file in torch.hub's cache of downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)

    def put(name: str, state: dict, tag: str = "IMAGENET1K_V1") -> None:
        url = torchvision.models.get_model_weights(name)[tag].url
        torch.save(state, tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])

    return put


def test_torchvision_s_published_weights_are_the_first_version_or_the_tagged_one(put_weights):
    first, second = (build("torchvision/mobilenet_v2") for _ in range(2))
    put_weights("mobilenet_v2", first.state_dict())
    put_weights("mobilenet_v2", second.state_dict(), "IMAGENET1K_V2")
    assert same_weights(build("torchvision/mobilenet_v2", pretrained=True), first)
    assert same_weights(build("torchvision/mobilenet_v2.IMAGENET1K_V2", pretrained=True), second)
    with pytest.raises(UserError, match=r"published weights have 1,000 outputs, not 3, .* would be random"):
        build("torchvision/mobilenet_v2", classes=3, pretrained=True)
    with pytest.raises(UserError, match=r"published weights have 1,000 outputs, not 3, .* would be random"):
        build("torchvision/mobilenet_v2", kwargs={"num_classes": 3}, pretrained=True)


def test_older_published_files_are_read(put_weights):
    dense = build("torchvision/densenet121")
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", key): value for key, value in dense.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    put_weights("densenet121", {key: value for key, value in old.items() if not key.endswith("num_batches_tracked")})
    assert same_weights(build("torchvision/densenet121", pretrained=True), dense)
    mnas = build("torchvision/mnasnet0_5")
    put_weights("mnasnet0_5", mnas.state_dict())
    assert same_weights(build("torchvision/mnasnet0_5", pretrained=True), mnas)
    three_heads = torchvision.models.googlenet(init_weights=False)
    put_weights("googlenet", three_heads.state_dict())
    one_head = build("torchvision/googlenet", pretrained=True)
    assert same_weights(one_head, three_heads, "fc") and one_head.transform_input
    assert one_head.train()(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)  # no tuple in training


def test_unknown_torchvision_networks_and_weights_are_refused_by_name(put_weights):
    with pytest.raises(UserError, match=r"'torchvision/resnet5O'.*did you mean 'torchvision/resnet50'"):
        build("torchvision/resnet5O")
    with pytest.raises(UserError, match=r"no weights 'IMAGENET1K_V3'; it has IMAGENET1K_V1, IMAGENET1K_V2"):
        build("torchvision/resnet50.IMAGENET1K_V3")
    with pytest.raises(UserError, match="no weights 'IMAGENET1K_FEATURES'"):  # its classifier is NaN
        build("torchvision/vgg16.IMAGENET1K_FEATURES")
    with pytest.raises(UserError, match=r"torchvision/alexnet.*patch_size"):
        build("torchvision/alexnet", kwargs={"patch_size": 8})
    put_weights("squeezenet1_1", tiny_resnet().state_dict())
    with pytest.raises(UserError, match=r"squeezenet1_1\.IMAGENET1K_V1: weights of another architecture"):
        build("torchvision/squeezenet1_1", pretrained=True)


def test_a_network_without_a_single_classifier_is_refused_by_name():
    with pytest.raises(UserError, match="VisionTransformerDistilled has no single classifier"):
        classifier(build("deit_tiny_distilled_patch16_224"))
    with pytest.raises(UserError, match="Linear has no single classifier"):
        classifier(nn.Linear(2, 2))


# Preparation


def test_preparation_comes_from_timm_s_configuration():
    prepared = preparation(build("tf_efficientnet_lite0"))
    assert (prepared.size, prepared.mean, prepared.std) == (224, (0.5,) * 3, (0.5,) * 3)
    assert preparation(tiny_resnet(), 32).size == 32


PREPARATION = Preparation(size=32, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0), interpolation="bicubic", crop=0.8)


def test_a_stimulus_of_the_network_s_size_is_not_resized():
    image = picture(0, (32, 32))
    assert PREPARATION.resize_and_crop(image).tobytes() == image.tobytes()


def test_an_image_whose_shorter_side_fits_is_only_cropped():
    image = picture(0, (48, 32))
    assert PREPARATION.resize_and_crop(image).tobytes() == image.crop((8, 0, 40, 32)).tobytes()


def test_square_images_are_scaled_without_cropping_on_request():
    frame = Image.new("RGB", (64, 64), "white")
    frame.paste("black", (4, 4, 60, 60))
    assert np.asarray(PREPARATION.resize_and_crop(frame))[16, 0].min() > 200  # its white border is kept
    assert np.asarray(PREPARATION.resize_and_crop(frame, keep_square=False))[16, 0].max() == 0  # 0.8 of its side
    wide = Image.new("RGB", (80, 64), "white")
    wide.paste("black", (4, 4, 76, 60))
    assert PREPARATION.resize_and_crop(wide).getpixel((0, 16)) == (0, 0, 0)  # 0.8 of the shorter side
    assert PREPARATION.resize_and_crop(wide).size == (32, 32)


def test_pixels_are_normalized_by_channel():
    batch = PREPARATION.tensor([np.full((32, 32, 3), 255, np.uint8)])
    assert batch.shape == (1, 3, 32, 32) and batch.dtype == torch.float32
    assert batch[0, :, 0, 0].tolist() == [1.0, 3.0, 1.0]


# Decisions


def test_imagenet_has_207_classes_with_a_category():
    info = ImageNetInfo()
    assert ilsvrc_wnids() == [
        info.index_to_label_name(index) for index in range(1000)
    ]  # in the order of timm's outputs
    indices = category_indices(ilsvrc_wnids())
    assert sum(map(len, indices.values())) == 207
    assert (len(indices), len(indices["dog"]), len(indices["knife"])) == (16, 109, 1)
    # Published positions: tabby 281 … Egyptian cat 285 are cats, 499 is the cleaver.
    assert 281 in indices["cat"] and 285 in indices["cat"]
    assert indices["knife"] == [499]


def test_shared_categories_are_the_published_ones(shared_data):
    import csv

    from shapebias.categories import ilsvrc_categories

    with (shared_data / "categories.csv").open() as file:
        assert ilsvrc_categories() == {row["wnid"]: row["category"] for row in csv.DictReader(file)}
    assert Counter(ilsvrc_categories().values())["dog"] == 109


class ConstantLogits(nn.Module):
    """A network that gives the same logits to every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


# Four outputs: three dogs and a knife.
CLASSES = ["pug", "beagle", "boxer", "cleaver"]
CATEGORIES = {"pug": "dog", "beagle": "dog", "boxer": "dog", "cleaver": "knife"}


def decision(tmp_path, logits: list[float]):
    """Return the prediction of an observer with these logits, for one image."""
    picture(0, (32, 32)).save(tmp_path / "x.png")
    image = ImageFile(tmp_path / "x.png", label("x", shape="dog", texture="knife", content="x.png"))
    observer = Observer("net", ConstantLogits(logits), PREPARATION, CLASSES, CATEGORIES)
    return observe(observer, [(image, image.image())], batch_size=4).iloc[0]


def test_the_decision_follows_the_mean_over_classes_not_the_sum(tmp_path):
    # Dogs have 0.2 each, the knife 0.4. The sum gives dog (0.6), the mean gives knife (0.2 < 0.4).
    row = decision(tmp_path, np.log([0.2, 0.2, 0.2, 0.4]).tolist())
    assert row["decision"] == "knife"
    assert (row["p_dog"], row["p_knife"]) == pytest.approx((0.2, 0.4))
    assert np.isnan(row["p_cat"])  # a category without a class in the network


def test_the_decision_follows_the_mean_over_classes_not_the_maximum(tmp_path):
    # The largest is a dog (0.5), the mean of the dogs is 0.18, the knife has 0.46.
    row = decision(tmp_path, np.log([0.5, 0.02, 0.02, 0.46]).tolist())
    assert (row["predicted_class"], row["decision"]) == ("pug", "knife")


def test_probabilities_are_averaged_not_logits(tmp_path):
    # Mean of logits: dog (0.9 · 0.005 · 0.005)^⅓ = 0.03 < 0.09 knife. Mean of probabilities: dog 0.303 > 0.09.
    row = decision(tmp_path, np.log([0.9, 0.005, 0.005, 0.09]).tolist())
    assert row["decision"] == "dog"
    assert row["p_dog"] == pytest.approx((0.9 + 0.005 + 0.005) / 3)


def test_softmax_includes_outputs_without_a_category():
    shares = category_probabilities(torch.log(torch.tensor([[0.5, 0.3, 0.2]])), {"cat": [1], "dog": [2]})
    assert shares[0].tolist() == pytest.approx([0.3, 0.2])


def test_a_torchvision_network_predicts_with_weights_from_another_project(tmp_path):
    network = build("torchvision/squeezenet1_1").eval()
    image = ImageFile(tmp_path / "x.png", label("x", shape="dog", texture="knife", content="x.png"))
    picture(0, (224, 224)).save(image.path)
    pixels = torch.tensor(np.asarray(image.image())).permute(2, 0, 1) / 255
    normalize = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.inference_mode():
        expected = network(normalize(pixels)[None]).argmax().item()
    network.features = nn.DataParallel(network.get_submodule("features"))
    torch.save({"arch": "squeezenet1_1", "state_dict": network.state_dict()}, tmp_path / "net-0123abcd.pth.tar")
    observer = load_observer("torchvision/squeezenet1_1", name="sin", weights=tmp_path / "net-0123abcd.pth.tar")
    row = observe(observer, [(image, image.image())], batch_size=4).iloc[0]
    assert row["predicted_class"] == ilsvrc_wnids()[int(expected)]
    assert (observer.facts["weights"], observer.facts["matched"]) == ("net-0123abcd.pth.tar", "name")


def test_the_batch_size_changes_no_decision(tmp_path):
    for i in range(5):
        picture(i, (32, 32)).save(tmp_path / f"{i}.png")
    files = [ImageFile(tmp_path / f"{i}.png", label(str(i), shape="cat", content=f"{i}.png")) for i in range(5)]
    observer = Observer("net", tiny_resnet(4), preparation(tiny_resnet(), 32), CLASSES, CATEGORIES)
    one_by_one, all_at_once = (observe(observer, [(f, f.image()) for f in files], batch_size=size) for size in (1, 5))
    assert one_by_one["image"].tolist() == list("01234")
    assert one_by_one["predicted_class"].tolist() == all_at_once["predicted_class"].tolist()
    np.testing.assert_allclose(one_by_one["p_dog"], all_at_once["p_dog"], rtol=1e-4)


def test_classes_without_a_category_are_left_out_and_unknown_categories_refused():
    assert category_indices(["pug", "pizza"], {"pug": "dog", "pizza": ""}) == {"dog": [0]}
    with pytest.raises(UserError, match="'pug': unknown category 'dgo'"):
        category_indices(["pug"], {"pug": "dgo"})
    with pytest.raises(UserError, match="none of the network's 1 classes"):
        category_indices(["pizza"], {"pizza": ""})


def test_a_file_is_no_name_of_a_network():
    with pytest.raises(UserError, match=r"'x\.onnx' is a file: give the name of its architecture"):
        build("x.onnx")


def test_a_network_takes_images_in_the_precision_of_its_first_weights():
    network = nn.Sequential(nn.Conv2d(3, 1, 1).bfloat16(), nn.BatchNorm2d(1))
    assert input_dtype(network) == torch.bfloat16
    assert memory_format(network[0], 8) in (torch.channels_last, torch.contiguous_format)
    assert input_dtype(nn.Identity()) == torch.float32


def test_an_exported_program_is_asked_for_as_a_function():
    program = torch.export.export(nn.Sequential(nn.Flatten()), (torch.zeros(2, 3, 8, 8),))
    with pytest.raises(UserError, match=r"cannot be set to evaluation .* as a function: lambda images: network"):
        memory_format(program.module(), 8)


GOOD: dict[str, Any] = {
    "size": 8,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "interpolation": "bilinear",
    "crop": 1.0,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 0}, "size is 0; expected a number of pixels"),
        ({"mean": 0.5}, "mean is 0.5; expected three numbers"),
        ({"mean": (123.7, 116.3, 103.5)}, r"mean is \(123.7, .*; expected three numbers from 0 to 1, .* by 255"),
        ({"std": (0.5, 0.5, 0.0)}, "std is .* three numbers above 0"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic'; expected one of nearest, bilinear, bicubic, lanczos"),
        ({"crop": 87.5}, "crop is 87.5; expected a share"),
    ],
)
def test_a_preparation_out_of_range_is_refused(wrong, message):
    with pytest.raises(UserError, match=f"preparation: {message}"):
        Preparation(**GOOD | wrong)
