"""The SQL that ships with the package: one function finds it, installed or in a checkout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class SqlFile:
    """A file of migrations/ or sql/. path is relative, with slashes."""

    path: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def folder(name: str) -> Path:
    """Where "sql" or "migrations" is: inside a wheel's package, else beside harness/."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parents[1] / name


def _files(name: str, pattern: str) -> list[SqlFile]:
    root = folder(name)
    return [
        SqlFile(f"{name}/{path.relative_to(root).as_posix()}", path.read_text(encoding="utf-8"))
        for path in sorted(root.glob(pattern))
    ]


def migrations() -> list[SqlFile]:
    return _files("migrations", "*.sql")


def functions() -> list[SqlFile]:
    return _files("sql", "*/*.sql")
