"""pgpublish: any SQL view or payload as a revisioned change feed inside PostgreSQL."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgpublish.feed import Change, FeedEvent, Follow, Reset, Resynced, follow

__version__ = version("pgpublish")
__all__ = ["Change", "FeedEvent", "Follow", "Reset", "Resynced", "__version__", "follow"]


def __getattr__(name: str) -> Any:
    """What follows the feed is imported when it is asked for: no command waits for it."""
    if name in __all__:
        return getattr(import_module("pgpublish.feed"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
