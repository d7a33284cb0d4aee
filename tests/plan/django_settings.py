"""What `python -m django migrate` needs: the applications that Django ships."""

import os

from psycopg.conninfo import conninfo_to_dict

_database = conninfo_to_dict(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database["dbname"],
        "HOST": _database["host"],
        "PORT": _database.get("port", ""),
        "USER": _database["user"],
    }
}
INSTALLED_APPS = [
    f"django.contrib.{name}"
    for name in ("contenttypes", "auth", "admin", "sessions", "sites", "flatpages", "redirects")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "of a test"
SITE_ID = 1
USE_TZ = True
