"""What made a result: versions, commit, machine kind."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

PACKAGES = ("shapebias", "torch", "torchvision", "timm", "numpy", "pillow")


def provenance(device: str) -> dict[str, object]:
    """Versions of what computes, the commit of this code, and the device."""
    return {"versions": versions(), "commit": commit(), "device": device}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The git commit of this code, marked `+changes` if files differ from it; empty outside a repository."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")
