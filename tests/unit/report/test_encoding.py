"""Colours and labels of a report: a regime is never mistaken for people or for a network that was not trained here."""

import pandas as pd
import pytest

from shapebias.report.encoding import DARK_PAPER, NOT_TRAINED, contrast_ratio, label_observers, lighten, make_encoding


@pytest.mark.parametrize("name", ["people", NOT_TRAINED])
def test_a_regime_with_the_name_of_another_group_has_a_label_of_its_own(name):
    table = pd.DataFrame(
        {"observer": ["a", "b"], "model": ["net", "net"], "regime": [name, None], "seed": [0, float("nan")]}
    )
    encoding = make_encoding([table])
    labelled = label_observers(table, encoding).set_index("observer")
    assert labelled["group"].to_dict() == {"a": f"regime {name}", "b": NOT_TRAINED}
    assert len({encoding.group_colors[group] for group in labelled["group"]}) == 2


def test_a_contrast_that_no_mixture_reaches_gives_white():
    assert contrast_ratio("#ffffff", DARK_PAPER) < 21  # that of white on black, the largest possible
    assert lighten("#000000", contrast=21) == "#ffffff"
