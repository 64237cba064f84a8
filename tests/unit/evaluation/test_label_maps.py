"""Labels are scored as the published formulas say, and unsuitable maps are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from shapebias.categories import ilsvrc_categories, ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.evaluation.label_maps import LabelMap, Rule, category_label_map, published_label_map, read_label_map
from shapebias.evaluation.observer import category_probabilities
from shapebias.networks.models import category_indices

CLASSES = ["ape", "bee", "cow", "dog", "eel"]
ANIMALS = {"mammal": ["ape", "cow", "dog"], "insect": ["bee"]}


def random_logits(images: int, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(0, 3, (images, classes)).astype(np.float32))


def test_each_rule_scores_labels_as_its_formula_says():
    logits = random_logits(50, 5)
    values = logits.numpy().astype(np.float64)
    probabilities = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    ranks = [[sum(other > value for other in row) + 1 for value in row] for row in values.tolist()]
    expected: dict[Rule, list[list[float]]] = {
        "mean": [[(row[0] + row[2] + row[3]) / 3, row[1]] for row in probabilities.tolist()],
        "max": [[max(row[0], row[2], row[3]), row[1]] for row in values.tolist()],
        "first_rank": [[min(row[0], row[2], row[3]), row[1]] for row in ranks],
    }
    for rule, scores in expected.items():
        np.testing.assert_allclose(LabelMap(ANIMALS, rule, "x").score(logits, CLASSES), scores, rtol=0, atol=1e-9)


def test_the_best_score_decides():
    logits = torch.tensor([[0.0, 2.0, 1.0, 1.5, 9.0], [3.0, 2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.0]])
    expected: dict[Rule, list[str]] = {
        "mean": ["insect", "insect", "insect"],  # exp(2) is more than the mean of exp(3), 1 and 1
        "max": ["insect", "mammal", "mammal"],  # equal logits: the first label
        "first_rank": ["insect", "mammal", "insect"],  # equal logits: the first output
    }
    for rule, decisions in expected.items():
        label_map = LabelMap(ANIMALS, rule, "x")
        assert label_map.decide(label_map.score(logits, CLASSES)).tolist() == decisions


def test_the_16_categories_are_a_map_with_exactly_the_probabilities_of_decisions():
    wnids, logits = ilsvrc_wnids(), random_logits(20, 1000)
    label_map = category_label_map(wnids)
    assert len(label_map.labels) == 16 and sum(map(len, label_map.classes.values())) == len(ilsvrc_categories())
    assert (label_map.score(logits, wnids) == category_probabilities(logits, category_indices(wnids))).all()
    own = category_label_map(["tabby", "sedan", "sky"], {"tabby": "cat", "sedan": "car", "sky": ""}, "max")
    assert own.classes == {"car": ["sedan"], "cat": ["tabby"]}


def test_published_maps_name_classes_of_ilsvrc():
    anagrams, refined_bias = (published_label_map(f"{n}_labels", "max") for n in ("anagram", "refined_bias"))
    # The outputs by number, as Doshi et al. list them.
    outputs = {"bear": [*range(294, 298)], "bunny": [330, 331, 332], "cat": [*range(281, 286)], "frog": [30, 31, 32]}
    outputs |= {"elephant": [101, 385, 386], "lizard": [*range(38, 49)], "tiger": [*range(286, 294)]}
    outputs |= {"turtle": [*range(33, 38)], "wolf": [*range(269, 276)]}
    assert anagrams.positions(ilsvrc_wnids()) == outputs and len(anagrams.labels) == 9
    assert len(refined_bias.labels) == 20 and len(refined_bias.classes["clock"]) == 3
    assert refined_bias.positions(ilsvrc_wnids())["tiger"] == [292]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class,label\nape,mammal\nbee,insect\nape,insect\n", ["line 4", "'ape'", "named twice", "line 2"]),
        ("class,label\nape,mammal\nbee,\n", ["line 3", "'bee'", "no label"]),
        ("class,label\nape,mammal\n,insect\n", ["line 3", "'insect'", "no class"]),
        ("class,label\nape,mammal\ncow,mammal\n", ["mammal", "at least two labels"]),
        ("class,label\nape,all\nbee,insect\n", ["'all'", "all labels together"]),
        ("class,label\n", ["none", "at least two labels"]),
        ("class,category\nape,mammal\n", ["label", "missing", "class,label"]),
        ("class;label\nape;mammal\n", ["semicolons"]),
    ],
)
def test_an_unsuitable_table_is_refused(tmp_path: Path, text: str, words: list[str]):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_label_map(path, "max")
    assert all(word in str(error.value) for word in [str(path), *words])


def test_a_map_that_does_not_fit_the_network_or_the_images_is_refused(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_text("class,label\nape,mammal\nyak,mammal\nbee,insect\n")
    label_map = read_label_map(path, "max")
    with pytest.raises(UserError, match=r"labels\.csv: class yak: not among the 5 classes of the network \(ape, bee"):
        label_map.score(random_logits(2, 5), CLASSES)
    with pytest.raises(UserError, match=r"labels\.csv: no class for label fish, .* labels are mammal, insect"):
        label_map.require_labels(["insect", "fish"])
    label_map.require_labels(["insect", "mammal"])
    with pytest.raises(UserError, match=r"\(2, 4\) logits, but the network has 5 classes"):
        LabelMap(ANIMALS, "max", "x").score(random_logits(2, 4), CLASSES)
    with pytest.raises(UserError, match="label 'fish' has no classes"):
        LabelMap({"fish": [], "insect": ["bee"]}, "max", "x")
    with pytest.raises(UserError, match="class 'bee' is listed twice, for 'insect' and for 'fly'"):
        LabelMap({"insect": ["bee"], "fly": ["bee"]}, "max", "x")
