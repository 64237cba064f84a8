"""The keys of a study's config: what each means, which values it takes and what it is by default.

The descriptions are what users read: editors show them, from the JSON schema that `python -m shapebias.config` makes of
these models. The rules read the config as plain mappings, exactly as its author wrote it, with defaults added.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shapebias.evaluation.published import DOWNLOADABLE
from shapebias.stylize.gatys_settings import GatysSettings


def optional(description: str, **limits: Any) -> Any:
    """A key that may be left out and then is not in the config at all."""
    return Field(default=None, description=description, **limits)


def section(description: str, **content: Any) -> Any:
    """A section that may be left out; content: what it holds then."""
    return Field(default=content, description=description)


def refuse_repeats(values: list[Any]) -> list[Any]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise PydanticCustomError("repeats", "a value is listed twice")
    return values


def explain_choice(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """One message where a key takes words or a number, instead of one for each."""
    try:
        return validate(value)
    except ValidationError as error:
        words = [
            str(e["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
            for e in error.errors()
            if e["type"] == "literal_error"
        ]
        highest = next((f" to {e['ctx']['le']:,}" for e in error.errors() if e["type"] == "less_than_equal"), "")
        raise PydanticCustomError(
            "choice", "{allowed}", {"allowed": f"{', '.join(words)}, or a number from 1{highest}"}
        ) from None


def refuse_bad_path(path: str) -> str:
    """Refuse paths that fail in the middle of a study: Snakemake, a command line or the disk takes them otherwise."""
    scheme, separator, _ = path.partition("://")
    longest = max((len(part.encode(errors="replace")) for part in path.split("/")), default=0)
    reasons = {
        "is empty; give a path, or . for the folder itself": not path.strip(),
        "holds a character that is not printable; rename the file": not path.isprintable(),
        "holds { or }, which Snakemake takes for a wildcard; rename the file or folder": "{" in path or "}" in path,
        "begins with -, which commands take for an option; rename the file or folder": path.startswith("-"),
        "has a name of more than 255 bytes, the most that disks take": longest > 255 and not separator,
        "has more than 4,000 characters": len(path) > 4000,
        "is no path, and no http, https or file URL": bool(separator) and scheme not in ("http", "https", "file"),
    }
    for reason, applies in reasons.items():
        if applies:
            raise PydanticCustomError("path", "{reason}", {"reason": reason})
    return path


def refuse_local_only(path: str) -> str:
    if "://" in path:
        raise PydanticCustomError("path", "is a URL; download it, and give the file or folder")
    return path


def refuse_bad_title(title: str) -> str:
    if not title.strip() or not title.isprintable() or title.startswith("-"):
        raise PydanticCustomError("title", "a title is one line of text that does not begin with -")
    return title


def refuse_values_without_json(value: Any) -> Any:
    """Refuse arguments of a network that cannot be passed to it as JSON: dates, sets, bytes, infinite numbers."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            parts += part.values()
            if names := [name for name in part if not isinstance(name, str)]:
                raise PydanticCustomError("kwargs", "the name {name} is no text", {"name": repr(names[0])[:80]})
        elif isinstance(part, list):
            parts += part
        elif isinstance(part, float) and not math.isfinite(part):
            raise PydanticCustomError("kwargs", "{part} is not a finite number", {"part": repr(part)})
        elif isinstance(part, int) and abs(part) > 2**63 - 1:
            raise PydanticCustomError("kwargs", "a number is larger than 2⁶³")
        elif not isinstance(part, str | bool | int | float | None):
            raise PydanticCustomError(
                "kwargs", "{part} is not text, a number, true, false, a list or a section", {"part": repr(part)[:80]}
            )
    return value


# File names hold a model, a regime and a seed, and a W&B tag has at most 64 characters.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Size = Annotated[int, Field(ge=16, le=2048)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Batch = Annotated[int, Field(ge=1, le=1_000_000)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Workers = Annotated[int, Field(ge=0, le=1024)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
ShardCount = Annotated[int, Field(ge=1, le=100_000)]
ImageCount = Annotated[int, Field(ge=1, le=10_000_000)]
Rates = dict[str, Annotated[float, Field(ge=1e-6, le=1e9)]]
FileOrUrl = Annotated[str, AfterValidator(refuse_bad_path)]
LocalPath = Annotated[FileOrUrl, AfterValidator(refuse_local_only)]
Kwargs = Annotated[dict[str, Any], AfterValidator(refuse_values_without_json)]
LayerGroups = Annotated[int, Field(ge=1, le=1000)]
Unique = AfterValidator(refuse_repeats)
UNIQUE: dict[str, Any] = {"uniqueItems": True}
Count = Annotated[Literal["all"] | ImageCount, WrapValidator(explain_choice)]
Trainable = Annotated[Literal["all", "head"] | LayerGroups, WrapValidator(explain_choice)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]
SHA256 = (
    "SHA-256 checksum of the file: all 64 hexadecimal digits, or the first 8 or more (torch.hub puts these into file "
    "names). A URL needs one."
)
KWARGS = "Arguments of timm.create_model, or of the function in torchvision."
WandbName = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]+$", max_length=128)]


def add_alternatives(schema: dict[str, Any], model: type["Section"]) -> None:
    if model.alternatives:
        schema["oneOf"] = [{"required": list(keys)} for keys in model.alternatives]


class Section(BaseModel):
    """A mapping with fixed keys. Values keep their type: 1 and "1" and true are three things.

    alternatives: groups of keys, exactly one of them is given.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, json_schema_extra=add_alternatives)
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def complete(cls, values: Any, info: ValidationInfo) -> Any:
        """Write the defaults into the mapping. The context, if there is one, learns which section it is."""
        if isinstance(values, dict):
            cls.add_defaults(values)
            if info.context is not None:
                info.context[id(values)] = cls
        return values

    @classmethod
    def add_defaults(cls, values: dict[str, Any]) -> None:
        for name, field in cls.model_fields.items():
            if not field.is_required() and (default := field.get_default()) is not None:
                values.setdefault(name, default)

    @model_validator(mode="after")
    def check_alternatives(self) -> Self:
        chosen = [keys for keys in self.alternatives if self.model_fields_set.issuperset(keys)]
        if self.alternatives and len(chosen) != 1:
            options = " or ".join(" and ".join(keys) for keys in self.alternatives)
            raise PydanticCustomError("alternatives", "give exactly one of: {options}", {"options": options})
        return self


class PerClass(Section):
    """Images of each class in each split: a number, or `all`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    train: Count = optional("Training images of each class.")
    val: Count = optional("Validation images of each class.")
    test: Count = optional("Test images of each class.")

    @model_validator(mode="after")
    def check_splits(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty", "no split; give train, val or test")
        return self


class Shards(Section):
    """Shards of each split. A shard is one file and the work of one job."""

    train: ShardCount = optional("Shards of the training images.")
    val: ShardCount = optional("Shards of the validation images.")
    test: ShardCount = optional("Shards of the test images.")


SHARDS = "Shards of each split, 1 by default. A shard is one file and the work of one job."
PER_CLASS = "Images of each class in each split: a number, or `all`."


class SyntheticSource(Section):
    """Photographs that the workflow draws itself."""

    kind: Literal["synthetic"]
    appearance: Literal["photograph", "silhouette", "edges", "anagram"] = Field(
        "photograph",
        description="How objects are drawn. anagram: pairs of silhouettes of the same tiles in two arrangements, of 14 "
        "of the 32 classes.",
    )
    per_class: PerClass = Field(description=PER_CLASS)
    shards: Shards = section(SHARDS)


class ImageFolder(Section):
    """A folder of photographs: <class>/image or <split>/<class>/image."""

    kind: Literal["imagefolder"]
    folder: LocalPath = Field(description="The folder of photographs.")
    categories: LocalPath = optional("A CSV file class,category, for classes that are not classes of ILSVRC.")
    per_class: PerClass = Field(description=PER_CLASS)
    shards: Shards = section(SHARDS)


class Ilsvrc(Section):
    """The training images of ILSVRC-2012, in any layout in which they are distributed."""

    kind: Literal["ilsvrc"]
    folder: LocalPath = Field(
        description="A folder with train/<wnid>/, Kaggle's ILSVRC/Data/CLS-LOC/train/, ILSVRC2012_img_train.tar, "
        "<wnid>.tar files or train-*.parquet; or the file ILSVRC2012_img_train.tar itself."
    )
    classes: Literal["categories", "present", "all"] = Field(
        "categories",
        description="categories: the 207 classes of the 16 categories. present: those of the 207 that the folder "
        "holds. all: the 1,000 classes of ILSVRC.",
    )
    per_class: PerClass = section(PER_CLASS, train=500, val=50, test=50)
    shards: Shards = section("Shards of each split, by default one for every 1,000 images.")


class Isic2017(Section):
    """Part 3 of the ISIC challenge of 2017: melanoma or not. All images are used, in the challenge's own splits."""

    kind: Literal["isic2017"]
    folder: LocalPath = Field(
        description="The folder with ISIC-2017_{Training,Validation,Test_v2}_Data/ and "
        "ISIC-2017_…_Part3_GroundTruth.csv."
    )
    shards: Shards = section(SHARDS)


class SyntheticStyles(Section):
    """Paintings that the workflow draws itself."""

    kind: Literal["synthetic"]
    count: ImageCount = Field(description="Number of paintings.")
    size: Size = Field(256, description="Side of a painting in pixels. A smaller painting has a finer texture.")


class StyleFolder(Section):
    """Any folder of images."""

    kind: Literal["folder"]
    folder: LocalPath = Field(description="The folder of style images. Its subfolders count too.")
    size: Size = Field(256, description="Shorter side to which style images are scaled, in pixels.")
    shards: ShardCount = Field(1, description="Shards of the set. A shard is one file and the work of one job.")


class StylizedSet(Section):
    """A source whose images are stylized, each in a randomly drawn style."""

    content: str = Field(description="The source whose images are stylized.")
    styles: str = Field(
        description="Where the styles come from: a set of styles, or a source (then its images of the same split)."
    )
    other_category: bool = Field(
        False, description="Whether each style comes from another category than the content: a cue conflict."
    )
    stylizer: str = Field("ghiasi", description="The style-transfer network: ghiasi, or a name under `stylizers`.")
    crop: Size = optional(
        "Side in pixels of the central square of each image that is stylized. Without it, the full image is stylized."
    )
    strength: float = Field(
        1, ge=0, le=1, description="Amount of the drawn style: 0 keeps the style of the content, 1 replaces it."
    )
    splits: Annotated[list[Literal["train", "val", "test"]], Unique] = Field(
        min_length=1, description="The splits that are stylized.", json_schema_extra=UNIQUE
    )


class DecoderTraining(Section):
    """How the workflow trains a decoder of its own, in place of a published one."""

    content: str = Field(description="The source whose training images are stylized.")
    styles: str = Field(description="The set of styles, or a source (then its training images).")
    steps: Positive = Field(160000, description="Updates of the decoder.")
    batch_size: Batch = Field(8, description="Pairs of content and style in one update.")
    resize: Size = Field(512, description="Shorter side to which images are scaled, in pixels.")
    size: Size = Field(256, description="Side in pixels of the random crop from a scaled image.")
    lr: float = Field(0.0001, gt=0, le=1000, description="Learning rate of Adam.")
    content_weight: float = Field(1, ge=0, le=1e6, description="Weight of the content loss.")
    style_weight: float = Field(10, ge=0, le=1e6, description="Weight of the style loss.")
    width: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="Channels of the first stage of a random encoder. VGG-19 has 64."
    )
    gpus: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="GPUs of the job, one process each. With 0 the job still uses one GPU if there is one."
    )


class AdainStylizer(Section):
    """An AdaIN network (Huang and Belongie 2017): an encoder, and a decoder that is published or trained here."""

    alternatives = (("decoder",), ("training",))

    kind: Literal["adain"] = "adain"
    encoder: FileOrUrl = Field(
        description="Weights of VGG-19 up to relu4_1: a file or URL (vgg_normalised.pth, or vgg19 of torchvision). "
        "`random` also works where a decoder is trained."
    )
    encoder_sha256: Sha256 = optional(SHA256)
    decoder: FileOrUrl = optional("Weights of the decoder: a file or URL.")
    decoder_sha256: Sha256 = optional(SHA256)
    training: DecoderTraining = optional("How to train a decoder, in place of `decoder`.")
    style_size: Size = optional(
        "Shorter side in pixels to which styles are scaled before the encoder sees them. Without it, styles keep the "
        "size in which they are packed."
    )
    threads: Threads = Field(1, description="CPU threads of a job that stylizes or trains.")
    workers: Workers = Field(0, description="Additional threads of a job that decode and encode images.")


Layers = Annotated[list[Annotated[str, Field(min_length=1, max_length=200, pattern="^[^-]")]], Unique]
LossWeight = Annotated[float, Field(ge=0, le=1e9)]


class GatysStylizer(Section):
    """Optimization of each image (Gatys et al. 2016), the method of the published cue conflicts. It takes long."""

    kind: Literal["gatys"]
    timm: str = Field(
        GatysSettings.timm, description="The network whose features images match: a name in timm, or torchvision/NAME."
    )
    weights: FileOrUrl = Field(description="The weights of the network: a file or URL.")
    weights_sha256: Sha256 = optional(SHA256)
    content_layers: Layers = Field(
        list(GatysSettings.content_layers),
        min_length=1,
        description="Modules of the network whose outputs resemble those of the content. torchvision's VGG networks "
        "also have the names conv1_1 to conv5_4, each with its ReLU.",
        json_schema_extra=UNIQUE,
    )
    style_layers: Layers = Field(
        list(GatysSettings.style_layers),
        min_length=1,
        description="Modules of the network whose Gram matrices resemble those of the style.",
        json_schema_extra=UNIQUE,
    )
    content_weight: LossWeight = Field(GatysSettings.content_weight, description="Weight of the content loss.")
    style_weight: LossWeight = Field(
        GatysSettings.style_weight, gt=0, description="Weight of the style loss. Only the ratio of both weights counts."
    )
    steps: Batch = Field(GatysSettings.steps, description="Steps of L-BFGS. The time of an image grows with them.")
    style_crop: float = Field(
        1,
        gt=0,
        le=1,
        description="The central square of each style with this fraction of its shorter side gives the texture. 1 "
        "takes all of the style.",
    )
    style_masks: LocalPath = optional(
        "A folder of masks, <id of the style>.png, such as test/cat/cat1.png: what is white in it gives the texture. "
        "Styles without a mask are rejected."
    )
    style_size: Size = optional(
        "Shorter side in pixels to which styles, or their crops, are scaled. Without it, they keep their size."
    )
    threads: Threads = Field(1, description="CPU threads of a job that stylizes.")
    workers: Workers = Field(0, description="Additional threads of a job that decode and encode images.")


class Training(Section):
    """Hyperparameters of a run. A model may differ from the common ones, and a regime from both."""

    epochs: Batch = optional("Passes over the training images.")
    batch_size: Batch = optional("Images in one optimizer step, over all ranks.")
    accumulate: Batch = optional(
        "Number of parts into which a rank splits its share of a batch. It computes one part after another, which "
        "saves memory."
    )
    optimizer: str = optional("An optimizer of timm: sgd, adamw, …")
    lr: float = optional("Peak learning rate.", gt=0, le=1000)
    momentum: float = optional("Momentum. For adamw, the first β.", ge=0, lt=1)
    weight_decay: float = optional(
        "Weight decay. It does not apply to norms, biases and the parameters that timm excludes.", ge=0, le=1000
    )
    layer_decay: float = optional(
        "Factor of the learning rate from one layer group of timm to the group before it. With 1 all groups learn "
        "at the same rate.",
        gt=0,
        le=1,
    )
    schedule: Literal["step", "cosine", "constant"] = optional("How the learning rate changes over time.")
    step_epochs: Batch = optional("Epochs between two drops of the learning rate (schedule: step).")
    step_factor: float = optional("Factor of each drop of the learning rate (schedule: step).", gt=0, le=1)
    warmup_epochs: int = optional("Epochs in which the learning rate rises linearly to its peak.", ge=0, le=1_000_000)
    label_smoothing: float = optional("Probability that is moved from the label to all classes.", ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = optional(
        "Weight of a class in the loss: none, or balanced, which is inverse to the number of its images (ISIC 2017: "
        "0.187 and 0.813)."
    )
    max_norm: float = optional("Gradients are clipped to this norm. With 0 they are never clipped.", ge=0, le=1e9)
    patience: int = optional(
        "Training stops after this many epochs without a lower validation loss. With 0 it never stops early.",
        ge=0,
        le=1_000_000,
    )
    crop_scale: list[Annotated[float, Field(gt=0, le=1)]] = optional(
        "Area of the random crop as a fraction of the image: smallest and largest.", min_length=2, max_length=2
    )
    flip: bool = optional("Mirror every second image.")
    feature_views: int = optional(
        "For `trainable: head`. The features of this many augmented views of each image are computed once, and the "
        "head trains on them. With 0 each epoch augments the images anew.",
        ge=0,
        le=10_000,
    )
    precision: Literal["float32", "bf16", "fp16"] = optional("Arithmetic of the forward pass. fp16 scales the loss.")
    compile: bool = optional("Whether torch.compile compiles the network.")
    ranks: int = optional("Processes that share each batch, one for each GPU.", ge=0, le=1024)
    nodes: Threads = optional(
        "Cluster nodes over which the ranks are spread evenly. Without a cluster all ranks run on this machine."
    )
    workers: int = optional(
        "Processes of each rank that decode and augment images. With 0 the training process does it.", ge=0, le=1024
    )
    threads: Threads = optional("CPU threads. They belong to the recipe, as the last bits of a result depend on them.")


class Model(Section):
    """A network to train."""

    timm: str = Field(description="The name of the network in timm, or torchvision/NAME, or hf-hub:OWNER/NAME.")
    weights: FileOrUrl = optional(
        "The weights from which `init: pretrained` starts: a file, package:NAME/FILE or a URL. Without it, timm or "
        "torchvision downloads the published weights."
    )
    weights_sha256: Sha256 = optional(SHA256)
    kwargs: Kwargs = section(KWARGS)
    training: Training = section("What differs from `training` for this model.")


class Regime(Section):
    """A way to train."""

    train_on: Annotated[list[str], Unique] = Field(
        min_length=1, description="The sets whose training images are mixed.", json_schema_extra=UNIQUE
    )
    init: str = Field("scratch", description="scratch, pretrained (the weights of the model), or another regime.")
    trainable: Trainable = Field(
        "all",
        description="What learns: all weights, the head (classifier) alone, or this many last layer groups of timm.",
    )
    training: Training = section("What differs in this regime from the `training` of all runs and of the model.")


Grid = Annotated[int, Field(ge=2, le=64)]
Smoothing = Annotated[float, Field(ge=0.5, le=8)]
GreyFraction = Annotated[float, Field(gt=0, le=1)]
LENIENT = Field(strict=False)  # a list of YAML may stand for a tuple; its numbers stay strict


class Suppression(Section):
    """How strongly each cue is taken away (kind: suppressed). [] leaves a cue as it is."""

    shape: Annotated[list[Grid], Unique] = Field(
        [2, 4, 8, 16],
        description="The image is cut into this many patches a side, and these are shuffled.",
        json_schema_extra=UNIQUE,
    )
    texture: Annotated[list[Smoothing], Unique] = Field(
        [1, 2, 3.5],
        description="Standard deviation of a bilateral filter, in pixels of the network's input. The time it takes "
        "grows with the square.",
        json_schema_extra=UNIQUE,
    )
    colour: Annotated[list[GreyFraction], Unique] = Field(
        [1], description="Fraction of the way to grey.", json_schema_extra=UNIQUE
    )
    rotation: Annotated[list[Grid], Unique] = optional(
        "The image is cut into this many patches a side, and each is rotated by a multiple of 90°.",
        json_schema_extra=UNIQUE,
    )
    gaussian: Annotated[list[Annotated[float, Field(ge=0.2, le=16)]], Unique] = optional(
        "Standard deviation of a Gaussian blur, in pixels of the network's input.", json_schema_extra=UNIQUE
    )
    non_local_means: Annotated[list[Annotated[float, Field(gt=0, le=255)]], Unique] = optional(
        "Standard deviation of non-local means, in grey levels. The filter takes 0.2 to 0.5 seconds an image.",
        json_schema_extra=UNIQUE,
    )
    channels: Annotated[list[Annotated[int, Field(ge=1, le=1)]], Unique] = optional(
        "[1]: red, green and blue change places.", json_schema_extra=UNIQUE
    )
    texture_and_shape: Annotated[list[Annotated[tuple[Smoothing, Grid], LENIENT]], Unique] = optional(
        "Smoothing and patches a side, both at once, such as [[1, 2], [1.5, 4]].", json_schema_extra=UNIQUE
    )
    texture_and_colour: Annotated[list[Annotated[tuple[Smoothing, GreyFraction], LENIENT]], Unique] = optional(
        "Smoothing and fraction of grey, both at once.", json_schema_extra=UNIQUE
    )
    shape_and_colour: Annotated[list[Annotated[tuple[Grid, GreyFraction], LENIENT]], Unique] = optional(
        "Patches a side and fraction of grey, both at once.", json_schema_extra=UNIQUE
    )


class Benchmark(Section):
    """A set of test images."""

    alternatives = (("images",), ("folder",))

    kind: Literal[
        "cue_conflict",
        "in_test",
        "sin_test",
        "silhouettes",
        "edges",
        "sketch",
        "stylized",
        "colour",
        "contrast",
        "high-pass",
        "low-pass",
        "phase-scrambling",
        "power-equalisation",
        "false-colour",
        "rotation",
        "eidolonI",
        "eidolonII",
        "eidolonIII",
        "uniform-noise",
        "suppressed",
        "critical_band",
        "melanoma",
        "configural_shape",
        "refined_bias",
        "frequency_conflict",
        "laion_c",
    ] = Field(
        description="What is measured. cue_conflict: shape bias. melanoma: how well melanomas are found; only runs "
        "trained on isic2017 see it, and they see nothing else. suppressed: the accuracy that is left when one cue is "
        "taken away (Burgert et al. 2025, arXiv 2509.20234). critical_band: the spatial frequencies at which noise "
        "disturbs recognition (Subramanian et al. 2023, arXiv 2309.13190). configural_shape: how often both images of "
        "an anagram are recognized (Doshi et al. 2025, arXiv 2507.00493). refined_bias: the rank of the class of a cue "
        "that stands alone (Kim et al. 2026, arXiv 2603.10834). frequency_conflict: low-frequency bias (Gavrikov et "
        "al. 2025, arXiv 2403.09193). laion_c: accuracy among superclasses, in each distortion (Li et al. 2025, arXiv "
        "2506.16950). All others: accuracy, in each condition of the set. "
        "silhouettes, edges and the kinds from sketch to uniform-noise are those of model-vs-human."
    )
    images: str = optional(
        "A source or stylized set, whose test images are shown. in_test, suppressed and critical_band take a source, "
        "sin_test takes photographs in the style of paintings, cue_conflict takes a set with other_category, "
        "configural_shape takes a synthetic source with appearance: anagram."
    )
    folder: LocalPath = optional(
        "A folder of stimuli, or a .zip, .tar, .tar.gz or .tgz file of it; there is no need to unpack it. Sets of "
        "model-vs-human are used as published (NNNN_<code>_<session>_<condition>_<category>_….png). cue_conflict takes "
        "<shape>/<shape><i>-<texture><j>.png. frequency_conflict takes images <low><i>-<high><j>.JPEG. "
        "configural_shape takes images beside a table anagrams.csv "
        "(filename,anagram_id,pair_id,variant,label,foil), or a folder of Parquet files of visionlab/visual-anagrams. "
        "refined_bias takes refined_bias_shape/<label>/image and refined_bias_texture/<label>/image. "
        "critical_band takes <i>_cbm_noise<sd>_freq<band>_gray_g_<category>.JPEG, and adds noise to other photographs. "
        "laion_c takes <distortion>/intensity_level_<severity>/<label>/image. "
        "All others take <category>/image or <class>/image. "
        "download:stimuli/cue-conflict, …/silhouettes and …/edges download the published stimuli."
    )
    suppress: Suppression = optional(
        "How strongly each cue is taken away (kind: suppressed). [] leaves a cue as it is."
    )
    labels: LocalPath = optional(
        "A CSV file class,label with the classes of the networks that belong to each label (kinds: configural_shape, "
        "refined_bias, laion_c). Without it, labels are the published ones, whose classes are those of ILSVRC; for "
        "`images`, labels are the 16 categories."
    )
    read_out: bool = Field(
        False,
        description="Whether shape and texture are also read out linearly from each stage of the networks (kind: "
        "cue_conflict).",
    )
    protocols: bool = Field(
        False,
        description="Whether the bias is also measured under all protocols of the field: other aggregations of "
        "classes, preparations of images and rules of counting (kind: cue_conflict). A network then sees each image "
        "five to nine times more.",
    )

    @classmethod
    def add_defaults(cls, values: dict[str, Any]) -> None:
        super().add_defaults(values)
        if values.get("kind") == "suppressed":
            values.setdefault("suppress", {})


class Observer(Section):
    """A network that is measured but not trained here, or recorded decisions of people or networks."""

    alternatives = (("timm",), ("decisions", "benchmark"))

    timm: str = optional("The name of the network in timm, or torchvision/NAME, or hf-hub:OWNER/NAME.")
    weights: FileOrUrl = optional(
        "The weights of the network: a file, package:NAME/FILE or a URL. Without it, timm or torchvision downloads the "
        "published weights."
    )
    weights_sha256: Sha256 = optional(SHA256)
    kwargs: Kwargs = section(KWARGS)
    classes: LocalPath = optional(
        "A CSV file class,category with the outputs of the network in order, if these are not the 1,000 of ILSVRC."
    )
    decisions: LocalPath = optional(
        "A CSV file as model-vs-human writes it, or a folder of such files. download:decisions is the published one."
    )
    benchmark: str = optional(
        "The benchmark that was answered: cue_conflict, critical_band, or a kind of which accuracy is measured."
    )
    pool: dict[Name, Annotated[str, Field(min_length=1, max_length=1000)]] = optional(
        "Observers that are pooled: the name of the pool → a pattern of their names."
    )


class Evaluation(Section):
    """How networks are shown benchmarks."""

    batch_size: Batch = Field(16, description="Images in one batch.")
    threads: Threads = Field(1, description="CPU threads.")
    workers: Workers = Field(
        0, description="Additional threads that decode images. With 0 decoding and the network take turns."
    )


class Figures(Section):
    """Style of the figures. A change redraws the figures and reruns nothing else."""

    palette: str = Field(
        "colorblind", description="The seaborn palette of regimes, or of networks in a study without regimes."
    )
    dpi: Annotated[int, Field(ge=50, le=600)] = Field(300, description="Resolution of PNG files, in dots per inch.")
    font_scale: float = Field(1, ge=0.1, le=4, description="Size of all text, relative to 7 to 9 points.")


class Throughputs(Section):
    """Images per second of one job, in place of the assumptions of scripts/plan.py."""

    pack: Rates = optional("Images packed per second, for a source or a set of styles.")
    encode: Rates = optional("Styles encoded per second, for a stylizer.")
    stylize: Rates = optional("Images stylized per second, for a stylizer.")
    train: Rates = optional("Training images per second of one rank, for a model of which all weights learn.")
    show: Rates = optional("Images answered per second, for a model or an observer.")


class Wandb(Section):
    """How runs are recorded in Weights & Biases."""

    mode: Literal["offline", "online", "disabled"] = Field(
        "offline",
        description="offline writes files for a later `wandb sync results/wandb`. online uploads during training. "
        "disabled records nothing. WANDB_MODE and WANDB_DISABLED in the environment can turn recording down.",
    )
    project: WandbName = Field("shapebias", description="The project in which runs appear.")
    entity: WandbName = optional(
        "The user or team that owns the project. Without it, Weights & Biases takes the account's default."
    )


Source = Annotated[SyntheticSource | ImageFolder | Ilsvrc | Isic2017, Field(discriminator="kind")]
Styles = Annotated[SyntheticStyles | StyleFolder, Field(discriminator="kind")]
Stylizer = Annotated[AdainStylizer | GatysStylizer, Field(discriminator="kind")]


def allow_list_of_sources(schema: dict[str, Any]) -> None:
    """Let the JSON schema of `published` take a list of sources, too, which `Study.add_defaults` makes a mapping."""
    mapping = {key: schema.pop(key) for key in ("type", "additionalProperties", "patternProperties") if key in schema}
    schema["anyOf"] = [{"type": "array", "items": {"enum": DOWNLOADABLE}, "uniqueItems": True}, mapping]


def refuse_repeated_sources(sources: Any) -> Any:
    """Refuse a list that names a source twice; a section cannot."""
    return refuse_repeats(sources) if isinstance(sources, list) else sources


class Study(Section):
    """A study: images, networks, ways to train them and benchmarks to measure them."""

    title: Annotated[str, AfterValidator(refuse_bad_title)] = Field(
        "Shape or texture?", max_length=128, description="Title of the report, one line."
    )
    seeds: Annotated[list[Seed], Unique] = Field(
        [0],
        min_length=1,
        max_length=1000,
        description="Each model is trained in each regime once per seed. The seed decides the initial weights, the "
        "order of the images and their augmentation.",
        json_schema_extra=UNIQUE,
    )
    data_seed: Seed = Field(
        0, description="Seed of every random choice of images: which are taken, in which split, with which style."
    )
    data_root: LocalPath = Field(".", description="The folder in which relative paths of this file start.")
    image_size: Size = Field(256, description="Shorter side of packed and stylized images, in pixels.")
    input_size: Size = optional("Side of the input of trained networks, in pixels. By default it equals image_size.")
    format: Literal["jpeg", "png"] = Field(
        "jpeg", description="Encoding of packed images: jpeg (quality 95) or png (lossless)."
    )
    max_rejected: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Fraction of the images of a shard or benchmark that may be unusable before the job fails. The "
        "next image in the random order replaces an unusable one.",
    )
    max_megapixels: float = Field(
        89.4,
        gt=0,
        le=178,
        description="Images with more megapixels than this are rejected, and images that take more memory than a plain "
        "image of this size. Transparency, 16 bits, CMYK and progressive JPEG take about twice as much.",
    )
    only_finished: bool = Field(
        False,
        description="Whether tables and report take only the networks and image sets whose results exist. After a "
        "failed job, `--config only_finished=true` makes a report of the others, which names what is missing.",
    )
    container: str = optional(
        "A container image that holds all conda environments, made by snakemake --containerize: a .sif file or "
        "docker://…. It serves --software-deployment-method conda apptainer.",
        min_length=1,
    )
    gpus: Annotated[int, Field(ge=0, le=1)] = Field(
        0,
        description="GPUs that a job requests if it evaluates or stylizes with adain or gatys, and that each rank of a "
        "training job requests. With 0 a job still uses a GPU if there is one.",
    )
    stage_shards: bool = Field(
        False,
        description="Whether training first copies its shards to the local disk of the node: $SLURM_TMPDIR, or else "
        "$TMPDIR.",
    )
    sources: dict[Name, Source] = section(
        "Sets of photographs. kind is synthetic (drawn by code), imagefolder (<class>/image or <split>/<class>/image), "
        "ilsvrc (the training images of ILSVRC-2012 as distributed) or isic2017 (part 3 of the challenge: melanoma or "
        "not, all images in its own splits)."
    )
    styles: dict[Name, Styles] = section(
        "Sets of style images. kind is synthetic (paintings drawn by code) or folder (any folder of images)."
    )
    stylized: dict[Name, StylizedSet] = section(
        "Stylized sets: each image of the content is shown in a randomly drawn style."
    )
    stylizers: dict[Name, Stylizer] = section(
        "Stylizers with weights. kind is adain (the default: Huang and Belongie 2017; an encoder, and a decoder that "
        "is published or trained here) or gatys (Gatys et al. 2016; optimization of each image)."
    )
    models: dict[Name, Model] = section("Networks to train.")
    regimes: dict[Name, Regime] = section("Ways to train.")
    training: Training = section("The recipe of all runs. Models and regimes may differ from it.")
    evaluation: Evaluation = section("How networks are shown benchmarks.")
    benchmarks: dict[Name, Benchmark] = Field(min_length=1, description="Sets of test images.")
    observers: dict[Name, Observer] = section(
        "Observers besides the trained runs: other networks, or recorded decisions of people or networks."
    )
    published: Annotated[dict[Name, LocalPath], BeforeValidator(refuse_repeated_sources)] = Field(
        default={},
        description="Published observers of the cue conflicts, among whom the atlas shows the networks of the study: a "
        f"list of sources to download ({', '.join(DOWNLOADABLE)}), or source → folder of its files. A folder may also "
        "hold decisions of your own, under another name.",
        json_schema_extra=allow_list_of_sources,
    )
    figures: Figures = section("Style of the figures. A change redraws the figures and reruns nothing else.")
    throughputs: Throughputs = section(
        "Images per second of one job, in place of the assumptions of scripts/plan.py. Time limits of cluster jobs "
        "follow from them: three times the expected time plus a quarter of an hour, at most a day for training. "
        "Without a throughput, a training job requests a day."
    )
    wandb: Wandb = section(
        "Weights & Biases, where runs are recorded besides history.csv and run.json. The API key is not part of the "
        "config: it comes from WANDB_API_KEY in the environment or in a .env file."
    )

    @classmethod
    def add_defaults(cls, values: dict[str, Any]) -> None:
        super().add_defaults(values)
        for entry in values["stylizers"].values() if isinstance(values["stylizers"], dict) else ():
            if isinstance(entry, dict):
                entry.setdefault("kind", "adain")
        sources = values["published"]
        are_names = isinstance(sources, list) and all(isinstance(name, str) for name in sources)
        if are_names and len({*sources}) == len(sources):  # repeated names stay a list, which is refused
            values["published"] = {name: f"download:{name}" for name in sources}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a config, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | simplify(Study.model_json_schema())


def simplify(schema: Any) -> Any:
    """A copy without titles, which repeat the keys, and without null as the default of keys that are left out.

    A section of names is closed: an entry whose name does not fit the pattern is a mistake.
    """
    if isinstance(schema, list):
        return [simplify(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: simplify(value) for key, value in schema.items()}
    if isinstance(parts.get("title"), str):
        del parts["title"]
    if "default" in parts and parts["default"] is None:
        del parts["default"]
    if "patternProperties" in parts:
        ((pattern, entry),) = parts.pop("patternProperties").items()
        parts |= {"propertyNames": {"pattern": pattern}, "additionalProperties": entry}
    return parts
