"""What Django's ORM writes, as a process of its own: its settings are those of a whole process."""

import os

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

_database = conninfo_to_dict(os.environ["DATABASE_URL"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database["dbname"],
            "HOST": _database["host"],
            "PORT": _database["port"],
            "USER": _database["user"],
            "OPTIONS": {"server_side_binding": True},
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import models, transaction  # noqa: E402
from django.db.models import F  # noqa: E402


class Author(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "written"
        db_table = "author"


class Item(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, null=True)
    title = models.TextField()
    number = models.IntegerField(default=0)

    class Meta:
        app_label = "written"
        db_table = "item"


Author.objects.bulk_create([Author(id=n, name="d") for n in range(101, 105)])
Item.objects.bulk_create(
    [Item(id=n, author_id=101 + n % 4, title="d") for n in range(200, 260)], batch_size=25
)
Item.objects.bulk_create(
    [Item(id=n, author_id=101, title="conflicts") for n in range(250, 280)],
    update_conflicts=True, unique_fields=["id"], update_fields=["title", "author"],
)  # fmt: skip
Item.objects.bulk_create([Item(id=n, title="ignored") for n in (200, 281)], ignore_conflicts=True)
changed = list(Item.objects.filter(id__lt=210))
for item in changed:
    item.title += " bulk"
Item.objects.bulk_update(changed, ["title"])
Item.objects.filter(id__gt=270).update(number=F("number") + 1, title="updated")
Item.objects.update_or_create(id=200, defaults={"title": "again"})
Item.objects.get_or_create(id=300, defaults={"title": "new"})
author = Author.objects.get(id=102)
author.name = "renamed"
author.save()
with transaction.atomic():
    Item.objects.filter(id=211).update(title="kept")
    try:
        with transaction.atomic():
            Item.objects.filter(id=212).delete()
            raise RuntimeError
    except RuntimeError:
        pass
    Item.objects.select_for_update().get(id=213).delete()
Author.objects.get(id=103).delete()  # and its items, which Django deletes itself
