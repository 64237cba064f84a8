"""The provenance of a result: package versions, commit and device."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

PACKAGES = ("shapebias", "torch", "torchvision", "timm", "numpy", "pillow")


def provenance(device: str) -> dict[str, object]:
    """Return the package versions, the commit of this code, and the device."""
    return {"versions": versions(), "commit": commit(), "device": device}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed PACKAGES."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def commit() -> str:
    """Return the git commit of this code, with `+changes` if files were edited; empty outside a repository."""
    folder = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")
