"""BottleCRM's own settings for tests, on a SQLite file: read in BottleCRM's environment."""

import os

from crm.test_settings import *  # noqa: F403

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BOTTLECRM_DATABASE"]}}
CELERY_TASK_ALWAYS_EAGER = False
ALLOWED_HOSTS = ["127.0.0.1"]
# Tables as the models say: its migrations, one by one on SQLite, take minutes.
MIGRATION_MODULES = {name.rsplit(".", 1)[-1]: None for name in INSTALLED_APPS}  # noqa: F405
