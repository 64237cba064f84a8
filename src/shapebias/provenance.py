"""The provenance of a result: package versions, commit and machine."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

PACKAGES = ("shapebias", "torch", "torchvision", "timm", "numpy", "pillow")
CHECKOUT = Path(__file__).parents[2]
DIGEST_LETTERS = 16  # of a hash; enough to tell files apart, short enough to print


def provenance(device: str, hardware: str = "") -> dict[str, object]:
    """Return the package versions, the commit of this code, the hash of its lock file, the device and the hardware.

    hardware: name of the device, by default that of the processor.
    """
    return {
        "versions": versions(),
        "commit": commit(),
        "lock": lock_digest(),
        "device": device,
        "hardware": hardware or processor_name(),
    }


def processor_name() -> str:
    """Return the name of this machine's processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8", errors="replace").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def lock_digest() -> str:
    """Return the start of the SHA-256 hash of the lock file, which fixes all packages; empty outside a checkout."""
    lock = CHECKOUT / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:DIGEST_LETTERS] if lock.exists() else ""


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
