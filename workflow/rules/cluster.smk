# What jobs ask of a SLURM cluster beside memory and time; without one, none of it has a meaning.

# `gpu_model` of the profile's default-resources. The executor would ask for a GPU of this model in each job, also where
# none is needed: `gres` asks for it instead.
DEFAULTS = workflow.resource_settings.default_resources
GPU_MODEL = DEFAULTS.get("gpu_model").raw if DEFAULTS else None
if GPU_MODEL:
    DEFAULTS["gpu_model"] = None


def gres(gpus):
    """GPUs of each node of a job, in Slurm's notation; nothing where none is needed."""
    return ":".join(filter(None, ["gpu", GPU_MODEL, str(gpus)])) if gpus else None


def tasks(ranks, nodes):
    """Tasks of a job with one a node, which the executor wants said in all; nothing for others."""
    return ranks if ranks > 1 and ranks == nodes else None


def tasks_per_node(ranks, nodes):
    """Tasks of a job with several a node; nothing for others."""
    return ranks // nodes if ranks > nodes else None
