# Reads the config files strictly: Snakemake would take the last of two equal keys, and read 010 as 8.

import os
import sys
from pathlib import Path

# The library is imported from this folder, here and in jobs: conda environments do not contain it.
LIBRARY = os.path.join(workflow.basedir, "src")
sys.path.insert(0, LIBRARY)
from shapebias.config.files import read_config_file
from shapebias.errors import UserError
from snakemake.exceptions import WorkflowError

if workflow.is_main_process:
    try:
        for path in map(Path, workflow.overwrite_configfiles or ["config.yaml"]):
            if path.is_file():  # a pipe was read already, and Snakemake reports a missing file
                read_config_file(path)
    except UserError as error:
        raise WorkflowError(str(error))
