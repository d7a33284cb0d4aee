"""pgpublish: any SQL view or payload as a revisioned change feed inside PostgreSQL."""

from importlib.metadata import version

__version__ = version("pgpublish")
