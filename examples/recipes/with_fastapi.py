"""The feed in a FastAPI application.

DATABASE_URL=… uvicorn with_fastapi:api --app-dir examples/recipes
"""

from __future__ import annotations

from fastapi import FastAPI

from pgpublish.serve import Settings, app

feed = app(settings=Settings(public="publish_reader"))
api = FastAPI(lifespan=lambda _: feed.router.lifespan_context(feed))


@api.get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


api.mount("/feed", feed)
