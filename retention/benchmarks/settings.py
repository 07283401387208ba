"""Mainstay's own settings plus the floor view, for the web server that `benchmark web` starts and nobody else."""

from retention.settings import *  # noqa: F403
from retention.settings import STORAGES

ROOT_URLCONF = "retention.benchmarks.urls"
# The tree's own front-end files: a measurement does not wait for collectstatic.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
