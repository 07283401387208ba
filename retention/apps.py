from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        """Load Celery here and not in the package, so that the pure core imports without it."""
        from retention import celery  # noqa: F401 - @shared_task binds to the app made there
