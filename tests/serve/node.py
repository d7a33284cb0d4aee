"""npm and node, in a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "clients/js"


def run(folder: Path, *command: str, patience: float = 100) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder: Path, *packages: str) -> None:
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--silent",
        *packages)  # fmt: skip
