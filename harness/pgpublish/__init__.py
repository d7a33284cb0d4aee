"""pgpublish: any SQL view or payload as a revisioned change feed inside PostgreSQL."""

from importlib.metadata import version

__version__ = version("pgpublish")

from pgpublish.feed import Change, FeedEvent, Follow, Reset, Resynced, follow

__all__ = ["Change", "FeedEvent", "Follow", "Reset", "Resynced", "__version__", "follow"]
