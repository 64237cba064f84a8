# Functions of wildcards for images: what is scanned, packed, stylized, fetched, and how long it may take.


def set_entry(wildcards):
    return config["styles"].get(wildcards.set) or config["sources"][wildcards.set]


def set_folder(name):
    """The folder that a packed set's files are in; nothing for what is drawn by code."""
    return (config["styles"].get(name) or config["sources"][name]).get("folder", "")


# Sets of files are listed once, since a look at a million photographs takes an hour; what is drawn by code needs none.
LISTED = [name for name in PACKED if set_folder(name)]


def script_kind(wildcards):
    """A set of styles that is drawn is called `paintings` by the scripts; `synthetic` draws photographs."""
    kind = set_entry(wildcards)["kind"]
    return "paintings" if wildcards.set in config["styles"] and kind == "synthetic" else kind


def set_flags(name):
    """What a set's images are, and how they are spread over splits and shards."""
    entry = config["styles"].get(name) or config["sources"][name]
    per_class = {"per_class": pairs(entry["per_class"])} if "per_class" in entry else {}
    chosen = {key: entry[key] for key in ("folder", "categories", "classes", "count") if key in entry}
    return flags(chosen | per_class | {"shards": pairs(shard_counts(name)), "seed": config["data_seed"]})


def listing_of(name):
    return f"results/images/{name}/listing.parquet" if name in LISTED else []


def pack_flags(wildcards):
    entry = set_entry(wildcards)
    common = {"size": entry.get("size", config["image_size"]), "format": config["format"]}
    if wildcards.set in LISTED:
        limits = {key: config[key] for key in ("max_megapixels", "max_rejected")}
        files = {"listing": listing_of(wildcards.set), "folder": entry["folder"], "seed": config["data_seed"]}
        return flags(common | limits | files)
    return set_flags(wildcards.set) + flags(common | {key: entry[key] for key in ("appearance",) if key in entry})


# Thousands of shards as inputs of hundreds of jobs are slow to plan: one file a split stands for them, which is made
# from all of them and anew when one is made anew.
CHECKSUMS = "sha256sums.txt"


def checksums_of(name, split):
    """What stands for the images of a set's split."""
    return f"results/images/{name}/{split}/{CHECKSUMS}"


def files_of_split(wildcards):
    """The folder, the number and the ending of a split's shards, or of a stylizer's vectors of its styles."""
    folder = f"results/{wildcards.kept}/{wildcards.set}/{wildcards.split}"
    return folder, shard_counts(wildcards.set)[wildcards.split], "tar" if wildcards.kept == "images" else "safetensors"


def listed(folder, count, ending):
    """The paths that `numbered` means."""
    return [f"{folder}/{number}.{ending}" for number in range(count)]


def style_split(wildcards):
    """The split that styles are drawn from: a source's of the same name, a set of styles has one."""
    return ALL if config["stylized"][wildcards.set]["styles"] in config["styles"] else wildcards.split


def vector_folder(wildcards):
    entry = config["stylized"][wildcards.set]
    return f"results/style_vectors/{entry['stylizer']}/{entry['styles']}/{style_split(wildcards)}"


def vector_count(wildcards):
    return shard_counts(config["stylized"][wildcards.set]["styles"])[style_split(wildcards)]


def vector_input(wildcards):
    """What stands for the style vectors of a stylized set: one file for itself, the list of checksums for several."""
    folder = vector_folder(wildcards)
    return f"{folder}/0.safetensors" if vector_count(wildcards) == 1 else f"{folder}/{CHECKSUMS}"


def stylizer_of(wildcards):
    return config["stylized"][wildcards.set]["stylizer"]


def stylize_flags(wildcards):
    entry = config["stylized"][wildcards.set]
    chosen = {key: entry[key] for key in ("strength", "crop") if key in entry}
    return stylizer_flags(entry["stylizer"]) + flags(
        chosen
        | {"content_size": config["image_size"], "seed": config["data_seed"], "format": config["format"]}
        | {"max_rejected": config["max_rejected"]}
        | ({"other_category": True} if entry["other_category"] else {})
    )


def sheet_split(wildcards):
    """The first split of a set: what is trained on, where there is that."""
    return next(iter(shard_counts(wildcards.set)))


def sheet_origins(wildcards):
    """What a stylized set was made of: name → the set and its split."""
    entry, split = config["stylized"].get(wildcards.set), sheet_split(wildcards)
    if entry is None:
        return {}
    return {
        "content": (entry["content"], split),
        "styles": (entry["styles"], ALL if entry["styles"] in config["styles"] else split),
    }


def sheet_cells(wildcards):
    """A stylized image stands in a row with its content and its style, so fewer of them fit."""
    return flags({"count": 18, "columns": 3} if wildcards.set in config["stylized"] else {"count": 48, "columns": 8})


# Stylizers


def weights_folder(stylizer):
    """Where a stylizer's encoder and decoder are: trained here, or fetched."""
    kind = "stylizers" if "training" in config["stylizers"][stylizer] else "downloads/weights"
    return f"results/{kind}/{stylizer}"


def fetched(stylizer, part):
    """Where an encoder's or a decoder's weights are fetched to, from its URL or path."""
    ending = "safetensors" if config["stylizers"][stylizer][part].endswith(".safetensors") else "pth"
    return f"results/downloads/weights/{stylizer}/{part}.{ending}"


def stylizer_files(stylizer):
    """The weights that a job with this stylizer needs; ghiasi brings its own."""
    if stylizer == "ghiasi":
        return []
    if "training" in config["stylizers"][stylizer]:
        return [f"{weights_folder(stylizer)}/{part}.safetensors" for part in ("encoder", "decoder")]
    return [fetched(stylizer, part) for part in ("encoder", "decoder")]


def stylizer_flags(stylizer):
    if stylizer == "ghiasi":
        return ["--stylizer", "ghiasi"]
    entry = config["stylizers"][stylizer]
    chosen = {"weights": weights_folder(stylizer), "threads": entry["threads"], "workers": entry["workers"]}
    return ["--stylizer", "adain", *flags(chosen)]


def encode_flags(wildcards):
    size = config["stylizers"].get(wildcards.stylizer, {}).get("style_size")
    return stylizer_flags(wildcards.stylizer) + flags({"style_size": size, "max_rejected": config["max_rejected"]})


def stylizer_threads(stylizer):
    entry = config["stylizers"].get(stylizer, {})
    return entry.get("threads", 1) + entry.get("workers", 0)


def stylizer_gpus(stylizer):
    return 0 if stylizer == "ghiasi" else config["gpus"]


def stylizer_training(wildcards):
    return config["stylizers"][wildcards.stylizer]["training"]


def training_origins(wildcards):
    """The content and the styles that a decoder is trained on: name → the set and its split."""
    recipe = stylizer_training(wildcards)
    return {
        "content": (recipe["content"], "train"),
        "styles": (recipe["styles"], ALL if recipe["styles"] in config["styles"] else "train"),
    }


def stylizer_encoder(wildcards):
    """The encoder's file, if it has one: a random one is drawn by the training itself."""
    return (
        [] if config["stylizers"][wildcards.stylizer]["encoder"] == "random" else fetched(wildcards.stylizer, "encoder")
    )


def stylizer_ranks(wildcards):
    """Processes that train a decoder, one a GPU."""
    return max(1, stylizer_training(wildcards)["gpus"])


def stylizer_training_flags(wildcards):
    recipe, encoder = stylizer_training(wildcards), stylizer_encoder(wildcards)
    keys = ("steps", "batch_size", "resize", "size", "lr", "content_weight", "style_weight")
    width = {} if encoder else {"width": recipe["width"]}
    chosen = {key: recipe[key] for key in keys} | width | {"seed": config["data_seed"]}
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"encoder": encoder or "random"} | chosen | {key: entry[key] for key in ("threads", "workers")})


def weights_path(wildcards):
    """The file of a stylizer's weights, where it is one of this machine."""
    path = config["stylizers"][wildcards.stylizer][wildcards.part]
    return [] if "://" in path else existing_path(path)


def weights_source(wildcards):
    """Where a stylizer's weights come from, and their checksum."""
    entry = config["stylizers"][wildcards.stylizer]
    return flags({"source": entry[wildcards.part], "sha256": entry.get(f"{wildcards.part}_sha256")})


# Downloads


def local(path):
    """Where a file or folder of the config is; `download:…` names one that is fetched."""
    return os.path.join("results/downloads", path.removeprefix("download:")) if path.startswith("download:") else path


def needed(path):
    """The input of a job that reads it; of a download, the folder that is fetched as a whole."""
    name = path.removeprefix("download:").partition("/")[0]
    return os.path.join("results/downloads", name) if path.startswith("download:") else existing_path(path)
