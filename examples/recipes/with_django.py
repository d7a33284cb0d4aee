"""The feed next to a Django project, as one ASGI application: what your asgi.py says.

DATABASE_URL=… DJANGO_SETTINGS_MODULE=… uvicorn with_django:application --app-dir examples/recipes
"""

from __future__ import annotations

from django.core.asgi import get_asgi_application
from starlette.applications import Starlette
from starlette.routing import Mount

from pgpublish.serve import Settings, app

feed = app(settings=Settings(public="publish_reader"))
application = Starlette(
    routes=[Mount("/feed", feed), Mount("/", get_asgi_application())],
    lifespan=lambda _: feed.router.lifespan_context(feed),  # Django has none
)
