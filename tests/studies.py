"""Tables of studies of any size, with random numbers, for figures that must stay legible."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.evaluation.benchmarks import KINDS
from shapebias.figures.draw import TABLES
from shapebias.tables.columns import RUN_COLUMNS, TABLE_COLUMNS

TIMM_NAMES = [
    "vit_base_patch16_224.augreg_in21k_ft_in1k",
    "vit_large_patch14_clip_336.openai_ft_in12k_in1k",
    "convnext_base.fb_in22k_ft_in1k_384",
    "convnextv2_huge.fcmae_ft_in22k_in1k_512",
    "swin_large_patch4_window12_384.ms_in22k_ft_in1k",
    "efficientnet_b0.ra_in1k",
    "tf_efficientnetv2_xl.in21k_ft_in1k",
    "resnet50.a1_in1k",
    "resnext101_32x8d.fb_swsl_ig1b_ft_in1k",
    "mobilenetv3_large_100.miil_in21k_ft_in1k",
    "densenet121.tv_in1k",
    "inception_v3.gluon_in1k",
    "regnety_160.swag_ft_in1k",
    "beitv2_base_patch16_224.in1k_ft_in22k_in1k",
    "vgg16_bn.tv_in1k",
]
REGIMES = ["photographs", "stylized", "both", "both, head only"]
ACCURACY_KINDS = [name for name, kind in KINDS.items() if kind.measures == "accuracy"]


def runs(models: int, regimes: int, seeds: int = 1) -> list[dict[str, Any]]:
    return [
        {"observer": f"{model}_{regime}_seed{seed}", "model": model, "regime": regime, "seed": seed}
        for model, regime, seed in itertools.product(TIMM_NAMES[:models], REGIMES[:regimes], range(seeds))
    ]


def published(count: int) -> list[dict[str, Any]]:
    names = [f"{name.partition('.')[0]}.pretrained_{i}" for i, name in enumerate(TIMM_NAMES * 5)]
    return [{"observer": name, "model": name, "regime": None, "seed": None} for name in names[:count]]


def people(count: int = 4) -> list[dict[str, Any]]:
    names = ["people", *(f"subject-{i:02d}" for i in range(1, count + 1))]
    return [{"observer": name, "model": "people", "regime": None, "seed": None} for name in names]


def study_tables(observers: list[dict[str, Any]], benchmarks: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return all tables that figures read. benchmarks: kinds of accuracy, besides `conflict` and `suppressed`."""
    kinds = ACCURACY_KINDS if benchmarks is None else benchmarks
    random = np.random.default_rng(0)
    networks = [observer for observer in observers if observer["model"] != "people"]
    level = {observer["observer"]: random.uniform(0.2, 0.9) for observer in observers}

    def measured(rows: list[dict[str, Any]], value: str = "accuracy", spread: float = 0.1) -> pd.DataFrame:
        table = pd.DataFrame(rows)
        mean = table["observer"].map(level) + random.normal(0, spread, len(table))
        table[value] = np.clip(mean, 0.02, 0.98)
        return table.assign(ci_low=table[value] - 0.03, ci_high=table[value] + 0.03, images=1280, chance=1 / 16)

    conflict = [{"benchmark": "conflict"} | observer for observer in observers]
    by_category = measured([row | {"category": c} for row in conflict for c in CATEGORIES], "shape_bias", 0.15)
    by_category["shape_hits"] = (40 * by_category["shape_bias"]).round()
    by_category["texture_hits"] = 40 - by_category["shape_hits"]
    by_category["conflict_images"] = 80
    bias = measured(conflict, "shape_bias").assign(conflict_images=1280)
    kind = np.where(bias["model"] == "people", np.where(bias["observer"] == "people", "people", "person"), "run")
    kind = np.where(bias["regime"].isna() & (kind == "run"), "pretrained", kind)
    pooled = bias.assign(kind=kind, interval="images", seeds=1)
    pooled = pooled[pooled["kind"] != "person"].drop_duplicates(["model", "regime"])
    cues = measured(conflict, "shape_accuracy").assign(conflict_images=1280)
    cues["shape_accuracy"] *= 0.8
    cues["texture_accuracy"] = 0.9 - cues["shape_accuracy"] - random.uniform(0, 0.1, len(cues))
    cues["coverage"] = cues["shape_accuracy"] + cues["texture_accuracy"]
    for cue in ("shape", "texture"):
        cues[f"{cue}_low"], cues[f"{cue}_high"] = cues[f"{cue}_accuracy"] - 0.03, cues[f"{cue}_accuracy"] + 0.03
    pairs = pd.DataFrame(
        [
            {"benchmark": "conflict", "observer_1": a["observer"], "observer_2": b["observer"]}
            for a, b in itertools.combinations([*networks, *(o for o in observers if o not in networks)], 2)
        ]
    )
    pairs["difference"] = pairs["observer_1"].map(level) - pairs["observer_2"].map(level)
    differences = pairs.assign(ci_low=pairs["difference"] - 0.05, ci_high=pairs["difference"] + 0.05)
    kappa = random.uniform(-0.05, 0.6, len(pairs))
    consistency = pairs.assign(condition="all", images=1280, kappa=kappa, caution="")
    consistency = consistency.assign(ci_low=kappa - 0.05, ci_high=kappa + 0.05)
    swapped = consistency["observer_1"] == "people"
    consistency.loc[swapped, ["observer_1", "observer_2"]] = consistency.loc[
        swapped, ["observer_2", "observer_1"]
    ].to_numpy()
    top_k = measured(
        [
            row | {"cue": c, "k": k, "of": "class"}
            for row in conflict
            if row["model"] != "people"
            for c in ("shape", "texture")
            for k in (1, 2, 3, 5, 10)
        ]
    )
    read_out = measured(
        [
            row | {"cue": c, "depth": d}
            for row in conflict
            if row["model"] != "people"
            for c in ("shape", "texture")
            for d in (0, 0.25, 0.5, 0.75, 1)
        ]
    )
    confusion = pd.DataFrame(
        [
            row | {"trials": trials, "cue": cue, "category": category, "answer": answer}
            for row in conflict[:: max(1, len(conflict) // 12)]
            for trials in ("all", "consistent")
            for cue in ("shape", "texture")
            for category in CATEGORIES
            for answer in [*CATEGORIES, "none"]
        ]
    )
    confusion["count"] = random.integers(0, 9, len(confusion)) + 40 * (confusion["answer"] == confusion["category"])
    accuracy = pd.DataFrame(columns=TABLE_COLUMNS["accuracy"])
    by_condition = pd.DataFrame(columns=TABLE_COLUMNS["accuracy_by_condition"])
    likeness = pd.DataFrame(columns=TABLE_COLUMNS["human_likeness"])
    if kinds:
        accuracy = measured([{"benchmark": name, "unit": "category"} | o for name in kinds for o in observers])
        accuracy = accuracy.assign(correct=accuracy["accuracy"] * accuracy["images"])
        conditions = {name: KINDS[name].conditions or ("",) for name in kinds}
        by_condition = measured(
            [{"benchmark": name, "condition": c} | o for name in kinds for o in observers for c in conditions[name]]
        )
        if len(networks) < len(observers):
            measures = ["accuracy", "accuracy_difference", "observed_consistency", "error_consistency"]
            likeness = pd.DataFrame(
                [{"benchmark": name} | o for name in ("sketch", "all") for o in [*networks, observers[len(networks)]]]
            )
            for name in measures:
                likeness[name] = random.uniform(0, 0.9, len(likeness))
                likeness[f"{name}_rank"] = likeness[name].rank().where(likeness["model"] != "people")
            likeness["mean_rank"] = likeness["accuracy_rank"]
    strengths = {"shape": (1, 2, 4, 8, 16), "texture": (0, 1, 2, 3.5), "colour": (0, 1)}
    reliance = pd.DataFrame(columns=TABLE_COLUMNS["reliance"])
    if networks:
        reliance = measured(
            [
                {"benchmark": "suppressed", "cue": c, "strength": s} | o
                for o in networks
                for c, v in strengths.items()
                for s in v
            ]
        )
    pairs_of_cues = pd.DataFrame(columns=TABLE_COLUMNS["reliance_pairs"])
    if networks:
        pairs_of_cues = measured(
            [
                {"benchmark": "suppressed", "cues": "texture_and_shape", "strength_1": s, "strength_2": g} | o
                for o in networks
                for s, g in ((1, 2), (3.5, 12))
            ]
        )
        for name, value in (("relative", "accuracy"), ("relative_low", "ci_low"), ("relative_high", "ci_high")):
            pairs_of_cues[name] = pairs_of_cues[value]
        pairs_of_cues["reason"] = ""
    configural = pd.DataFrame(columns=TABLE_COLUMNS["configural_shape"])
    refined = pd.DataFrame(columns=TABLE_COLUMNS["refined_bias"])
    if networks:
        configural = measured([{"benchmark": "anagrams"} | o for o in networks], "css")
        configural = configural.assign(labels=9, pairs=72, images=144, css_chance=1 / 81, chance=1 / 9, reason="")
        for name in ("accuracy", "foil_rate"):
            configural[name] = configural["css"]
        for name in ("accuracy", "foil"):
            configural[f"{name}_low"], configural[f"{name}_high"] = configural["ci_low"], configural["ci_high"]
        configural = configural.assign(both_right=(72 * configural["css"]).round(), decision_margin=-0.5)
        configural = configural.assign(foil_margin=0.1, pair_margin=-1.0)
        refined = measured(
            [
                {"benchmark": "refined", "cue": c, "label": name} | o
                for o in networks
                for c, label in (("shape", "clock"), ("texture", "zebra"))
                for name in ("all", label)
            ],
            "reciprocal_rank",
        ).assign(network_classes=1000, label_classes=1)
    bands = pd.DataFrame(columns=TABLE_COLUMNS["critical_band"])
    if networks:
        bands = measured([{"benchmark": "bands"} | o for o in networks], "bandwidth", 1)
        bands["bandwidth"] *= 4
        bands["bandwidth_low"], bands["bandwidth_high"] = bands["bandwidth"] - 0.5, bands["bandwidth"] + 1
        bands.loc[bands.index % 7 == 3, ["bandwidth", "bandwidth_low", "bandwidth_high"]] = np.nan
    frequency = pd.DataFrame(columns=TABLE_COLUMNS["frequency_bias"])
    laion_c = pd.DataFrame(columns=TABLE_COLUMNS["laion_c"])
    if networks:
        frequency = measured([{"benchmark": "bands"} | o for o in networks], "low_frequency_bias")
        frequency = frequency.assign(conflict_images=1200, low_hits=300, high_hits=300, bias_chance=0.5, reason="")
        for name in ("low_band", "high_band", "coverage"):
            frequency[name if name == "coverage" else f"{name}_accuracy"] = 0.25
            bounds = ("low", "high") if name == "coverage" else ("lower", "upper")
            frequency[f"{name}_{bounds[0]}"], frequency[f"{name}_{bounds[1]}"] = 0.2, 0.3
        cells = [("all", np.nan), ("mosaic", np.nan), *(("mosaic", float(severity)) for severity in range(1, 6))]
        laion_c = measured(
            [{"benchmark": "laion_c", "distortion": d, "severity": s} | o for o in networks for d, s in cells]
        ).assign(conditions=5, labels=16)
    trained = [o for o in networks if o["regime"] is not None]
    tables = {
        "shape_bias": bias,
        "shape_bias_by_category": by_category,
        "shape_bias_pooled": pooled,
        "shape_bias_differences": differences,
        "cue_accuracy": cues,
        "top_k": top_k,
        "confusion": confusion,
        "accuracy": accuracy,
        "accuracy_by_condition": by_condition,
        "error_consistency": consistency,
        "human_likeness": likeness,
        "reliance": reliance,
        "reliance_pairs": pairs_of_cues,
        "configural_shape": configural,
        "refined_bias": refined,
        "critical_band": bands,
        "frequency_bias": frequency,
        "laion_c": laion_c,
        "read_out": read_out,
        "runs": pd.DataFrame(trained, columns=RUN_COLUMNS),
    }
    assert set(TABLES) <= set(tables)
    return tables


def training_histories(trained: pd.DataFrame) -> pd.DataFrame:
    """Return the histories of all runs in one table."""
    epochs = np.arange(1, 31)
    histories = [pd.DataFrame()]
    for i, run in enumerate(trained.to_dict("records")):
        loss = 2.8 * np.exp(-epochs / (6 + i % 5)) + 0.2
        history = pd.DataFrame({"epoch": epochs, "train_loss": loss, "val_loss": loss + 0.2, "best_epoch": 20})
        history = history.assign(train_accuracy=1 - loss / 3.2, val_accuracy=0.95 - loss / 3.2)
        histories.append(history.assign(**{name: run[name] for name in ("model", "regime", "seed")}))
    return pd.concat(histories, ignore_index=True)
