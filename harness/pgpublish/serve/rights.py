"""What a reader sees, as the database said within the last seconds."""

from __future__ import annotations

from pgpublish.serve.auth import Reader
from pgpublish.serve.hub import Filter
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Store


class Rights:
    def __init__(self, store: Store, keep: float) -> None:
        self.store = store
        self._known: Shared[Filter] = Shared(keep)

    async def filter(self, reader: Reader, kinds: list[str] | None) -> Filter:
        """Raises NotGranted, NotDefined, ConnectionFailed."""
        key = (reader.role, reader.scope, None if kinds is None else tuple(kinds))

        async def ask() -> Filter:
            return Filter(*await self.store.reader(reader.role, reader.scope, kinds))

        return await self._known.get(key, ask)
