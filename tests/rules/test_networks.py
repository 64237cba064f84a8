"""What holds of every network that there is; too many for the quick tests."""

import torch
import torchvision

from shapebias.networks.models import build, classifier


def test_the_classifier_of_every_network_of_torchvision_is_found():
    names = torchvision.models.list_models(module=torchvision.models)
    assert len(names) >= 80
    for name in names:
        if name.startswith("regnet") and name != "regnet_x_400mf":
            continue  # RegNets share one structure, and building one allocates all its weights
        with torch.device("cpu" if name == "regnet_x_400mf" else "meta"):
            weight = classifier(build(f"torchvision/{name}", classes=7)).get_parameter("weight")
        assert weight.shape[0] == 7, name
