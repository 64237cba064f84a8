"""The page's section on published observers: who is measurably higher or lower, and whose answers they are."""

from typing import Any

import pandas as pd

from shapebias.report.atlas import atlas_section, describe_groups, own_statements, source_statements
from shapebias.report.encoding import make_encoding
from shapebias.report.study import StudyResults
from shapebias.tables.atlas import OWN, POOLED
from shapebias.tables.columns import ATLAS_COLUMNS, ATLAS_DIFFERENCE_COLUMNS


def observer(name: str, group: str, bias: float, rank: float, source: str = "geirhos2019", **more: Any) -> dict:
    hits = round(100 * bias)
    row: dict[str, Any] = {"observer": name, "name": name, "group": group, "kind": "network", "members": 1}
    row |= {"source": source, "licence": "none stated"}
    row |= {"conflict_images": 100, "shape_hits": hits, "texture_hits": 100 - hits, "coverage": 1.0, "chance": 1 / 16}
    row |= {"shape_bias": bias, "ci_low": bias - 0.1, "ci_high": bias + 0.1}
    return row | {"rank": rank, "rank_low": rank, "rank_high": rank + 1} | more


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=ATLAS_COLUMNS)


PEOPLE = [
    observer("p1", "people, neutral instruction", 0.9, 1, kind="person"),
    observer("p2", "people, neutral instruction", 0.8, 2, kind="person"),
    observer("people, neutral instruction", "people, neutral instruction", 0.85, float("nan"), kind=POOLED, members=2),
]
OTHERS = [observer("lab/net", "networks, mine", 0.1, 4, source="mine")]
MINE = [observer("vit_sin_seed0", OWN, 0.5, 3, source=OWN, model="vit", regime="sin", seed=0)]


def differences(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    columns = ["observer_1", "observer_2", "difference", "p_adjusted"]
    return pd.DataFrame(rows, columns=columns).reindex(columns=ATLAS_DIFFERENCE_COLUMNS)


def test_a_network_of_the_study_is_set_among_those_it_differs_from_measurably():
    pairs = differences(
        ("vit_sin_seed0", "p1", -0.4, 0.001),
        ("vit_sin_seed0", "p2", -0.3, 0.2),
        ("vit_sin_seed0", "lab/net", 0.4, 0.01),
        ("vit_sin_seed0", "people, neutral instruction", -0.35, 0.001),  # a group is no observer
    )
    (sentence,) = own_statements(table(*MINE, *PEOPLE, *OTHERS), pairs)
    assert sentence == (
        "vit sin: shape bias 0.50 [0.40, 0.60], rank 3 [3, 4] of 4. Its bias is measurably higher than that of 1 "
        "of the published observers and lower than that of 1; 1 cannot be told from it (paired by image; false "
        "discovery rate 5 %)."
    )


def test_an_observer_without_a_common_image_counts_neither_as_different_nor_as_equal():
    pairs = differences(("vit_sin_seed0", "p1", -0.4, 0.001), ("vit_sin_seed0", "p2", float("nan"), float("nan")))
    (sentence,) = own_statements(table(*MINE, *PEOPLE), pairs)
    assert "lower than that of 1; 0 cannot be told from it" in sentence
    assert sentence.endswith(" 1 cannot be compared with it; the table says why.")


def test_more_networks_than_a_paragraph_holds_are_counted():
    networks = [observer(f"net{k}", OWN, 0.5, k, source=OWN, model=f"net{k}") for k in range(10)]
    statements = own_statements(table(*networks), differences())
    assert len(statements) == 9 and statements[-1] == "2 more networks of this study are in the table."


def test_sources_are_cited_with_their_licence():
    assert source_statements(table(*MINE, *PEOPLE, *OTHERS)) == [
        "2 observers from Geirhos et al. 2019 (arXiv 1811.12231). Licence of their answers: none stated.",
        "1 observer from mine. Licence of their answers: none stated.",
    ]


def test_groups_have_the_range_of_their_members_and_the_bias_of_all_people_together():
    groups = describe_groups(table(*PEOPLE, *OTHERS)).set_index("group")
    people = groups.loc["people, neutral instruction"]
    assert tuple(people[["observers", "low", "high", "shape_bias"]]) == (2, 0.8, 0.9, 0.85)
    assert pd.isna(groups.loc["networks, mine", "shape_bias"])


def test_the_section_needs_published_observers_and_says_if_no_network_is_among_them():
    def section(atlas: pd.DataFrame):
        tables = {"atlas": atlas, "atlas_differences": differences()}
        return atlas_section(StudyResults(tables, None, {}, {}, make_encoding([], None, people=False)))

    assert section(table()) is None
    shown = section(table(*PEOPLE))
    assert shown is not None
    (subsection,) = shown.subsections
    assert subsection.statements[0].startswith("No network of this study answered")
    assert [rows.title for rows in subsection.tables] == ["Groups", "Every observer", "Differences, paired by image"]
