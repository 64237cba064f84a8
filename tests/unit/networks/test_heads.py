"""Heads fitted on features: each is computed once more from its formula."""

import numpy as np
import pytest
import torch
from helpers import tiny_resnet
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from shapebias.errors import UserError
from shapebias.networks.heads import FeatureNetwork, fit_head
from shapebias.networks.models import build


def points(counts: dict[str, int], width: int = 5) -> tuple[np.ndarray, list[str]]:
    """Return features around a place of each category, and the categories."""
    rng = np.random.default_rng(0)
    names = [name for name, count in counts.items() for _ in range(count)]
    places = {name: rng.normal(size=width) for name in counts}
    return np.array([places[name] + rng.normal(size=width) for name in names], dtype=np.float32), names


def directions(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def answers(kind: str, features: np.ndarray, names: list[str], images: np.ndarray) -> tuple[np.ndarray, list[str]]:
    head, categories, _ = fit_head(kind, features, names)
    with torch.no_grad():
        return head(torch.from_numpy(images)).numpy(), categories


def test_prototypes_answer_with_the_nearest_mean_direction():
    # The cats point to (1, 0) whatever their length, the dogs to (0, 1); (0.8, 0.6) has the cosines 0.8 and 0.6.
    features = np.array([[9, 0], [1, 0], [0, 2], [0, 5]], dtype=np.float32)
    logits, names = answers("prototypes", features, ["cat", "cat", "dog", "dog"], np.array([[8, 6]], dtype=np.float32))
    assert names == ["cat", "dog"]
    np.testing.assert_allclose(logits, [[0.8, 0.6]], rtol=1e-6)


def test_neighbours_vote_by_their_cosines_and_the_size_of_their_category():
    features, names = points({"bear": 4, "cat": 7, "dog": 30})
    images = points({"cat": 9})[0]
    logits, categories = answers("neighbours", features, names, images)
    cosines = directions(images) @ directions(features).T
    for row, image in zip(logits, cosines, strict=True):
        votes = dict.fromkeys(categories, 0.0)
        for k in np.argsort(-image)[:4]:  # the smallest category has four photographs
            votes[names[k]] += np.exp(image[k] / 0.07) / names.count(names[k])
        shares = np.array([votes[name] for name in categories]) / sum(votes.values())
        np.testing.assert_allclose(np.exp(row), shares, atol=1e-5)


@pytest.mark.parametrize("counts", [{"bear": 12, "cat": 20}, {"bear": 12, "cat": 20, "dog": 8}])
def test_the_linear_read_out_has_the_probabilities_of_scikit_learn(counts):
    features, names = points(counts)
    logits, _ = answers("linear", features, names, features)
    rows = StandardScaler().fit_transform(features)
    probe = LogisticRegression(C=30 / 5, class_weight="balanced", tol=1e-4, max_iter=1000).fit(rows, names)
    np.testing.assert_allclose(torch.tensor(logits).softmax(dim=1), probe.predict_proba(rows), atol=1e-4)


def test_settings_are_recorded_and_a_single_category_is_refused():
    features, names = points({"cat": 30, "dog": 25})
    assert fit_head("neighbours", features, names)[2]["neighbours"] == 20
    assert fit_head("linear", features, names)[2] == {"C": 6.0}
    with pytest.raises(UserError, match=r"two categories or more; these show \['cat'\]"):
        fit_head("linear", features, ["cat"] * 55)
    with pytest.raises(UserError, match="unknown read-out 'knn'; allowed: prototypes, neighbours, linear"):
        fit_head("knn", features, names)


def test_features_are_the_input_of_the_classifier():
    images = torch.rand(2, 3, 32, 32)
    network = tiny_resnet().eval()
    with torch.no_grad():
        features = FeatureNetwork(network)(images)
        assert torch.equal(network.get_submodule("fc")(features), network(images))
        network.reset_classifier(0)  # ty: ignore[not-callable]
        assert torch.equal(FeatureNetwork(network)(images), features)
        other = build("torchvision/shufflenet_v2_x0_5", classes=3).eval()
        assert torch.equal(other.get_submodule("fc")(FeatureNetwork(other)(images)), other(images))


def test_feature_maps_and_features_of_no_width_are_refused():
    with pytest.raises(UserError, match=r"network is a Tensor \[2, 4, 32, 32\] .* needs features \[2, D\]"):
        FeatureNetwork(torch.nn.Conv2d(3, 4, 1))(torch.rand(2, 3, 32, 32))
    with pytest.raises(UserError, match=r"network is a Tensor \[2, 0\] .* needs features \[2, D\]"):
        FeatureNetwork(torch.nn.Identity())(torch.rand(2, 0))
