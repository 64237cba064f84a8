"""The scale of a network's outputs: a softmax is not applied twice, and a sigmoid is refused."""

import numpy as np
import pytest
import torch
from helpers import tiny_resnet
from torch import nn

from shapebias.errors import UserError
from shapebias.evaluation.output_scale import LOGITS, PROBABILITIES, OutputScale

LOGIT_ROWS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 4.0, -60.0]])


def test_logits_stay_as_they_are():
    scale = OutputScale()
    assert scale.logits(LOGIT_ROWS, nn.Identity(), "net") is LOGIT_ROWS
    assert scale.kind == LOGITS
    later = LOGIT_ROWS.softmax(dim=1)  # by chance
    assert scale.logits(later, nn.Identity(), "net") is later


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_probabilities_are_not_put_through_softmax_again(caplog, dtype):
    scale, probabilities = OutputScale(), LOGIT_ROWS.softmax(dim=1)
    with caplog.at_level("INFO"):
        logits = scale.logits(probabilities.to(dtype).float(), nn.Identity(), "net")
    np.testing.assert_allclose(logits.softmax(dim=1), probabilities, atol=0.005)
    assert scale.kind == PROBABILITIES and "net returns probabilities" in caplog.text
    with pytest.raises(UserError, match="net returned probabilities for the first images, but not for later ones"):
        scale.logits(LOGIT_ROWS, nn.Identity(), "net")


def test_a_sigmoid_is_refused_after_enough_outputs():
    scale = OutputScale()
    with pytest.raises(UserError, match=r"net: all outputs are from 0 to 1, .* without its last sigmoid"):
        for _ in range(100):
            scale.logits(LOGIT_ROWS.sigmoid(), nn.Identity(), "net")
    assert scale.values >= 256


def test_a_few_outputs_from_0_to_1_are_taken_for_logits_with_a_word(caplog):
    scale = OutputScale()
    scale.logits(LOGIT_ROWS.sigmoid(), nn.Identity(), "net")
    scale.finish("net")
    assert scale.kind == "logits from 0 to 1"
    assert "net: its few outputs are all from 0 to 1; they are taken for logits" in caplog.text


def test_small_logits_of_a_few_images_are_not_taken_for_a_sigmoid():
    scale = OutputScale()
    for rows in (torch.tensor([[0.2, 0.4]]), torch.tensor([[0.3, -0.1]])):
        assert scale.logits(rows, nn.Identity(), "net") is rows
    scale.finish("net")
    assert scale.kind == LOGITS


def test_networks_of_a_library_return_logits_unless_their_classifier_was_replaced():
    small, network = torch.full((1, 1000), 0.3), tiny_resnet()
    assert OutputScale().logits(small, network, "net") is small
    network.fc = nn.Sequential(nn.Linear(8, 1000), nn.Sigmoid())
    with pytest.raises(UserError, match="as after a sigmoid"):
        OutputScale().logits(small, network, "net")


def test_outputs_of_zeros_are_logits():
    """A new classifier may be zero."""
    scale = OutputScale()
    scale.logits(torch.zeros(2, 3), nn.Identity(), "net")
    assert scale.kind == LOGITS
