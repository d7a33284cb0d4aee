"""The SQL that ships with the package: one function finds it, installed or in a checkout."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGE = Path(__file__).parent
PREFIX = re.compile(r"(?:(?!pg_)[a-z_][a-z0-9_]{0,45})?")
ROLE = re.compile(r"\bpublish_(?:owner|writer|reader|worker|admin|projector|server)\b")


@dataclass(frozen=True)
class SqlFile:
    """A file of migrations/ or sql/. path is relative, with slashes."""

    path: str
    text: str

    @property
    def stem(self) -> str:
        """The function's or migration's name."""
        return PurePosixPath(self.path).stem

    def naming(self, prefix: str) -> str:
        """The text with this prefix before the name of each of our roles. Raises ValueError unless
        the names need no quotes and are at most 63 bytes."""
        if not PREFIX.fullmatch(prefix):
            raise ValueError(
                "at most 46 lower-case letters, digits and _, not beginning with a digit or pg_"
            )
        return ROLE.sub(rf"{prefix}\g<0>", self.text)

    @property
    def checksum(self) -> str:
        """SHA-256 of the text as the package has it, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def folder(name: str) -> Path:
    """Where "sql" or "migrations" is: inside a wheel's package, else next to harness/."""
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
