from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        """Load Celery here and not in the package, so that the pure core imports without it; and tell the care loop
        where to ask about risk."""
        from pulsecheck.risk import set_risk_source
        from retention import celery  # noqa: F401 - @shared_task binds to the app made there
        from retention.selectors.risks import latest_snapshots, latest_tiers, latest_values

        set_risk_source(latest_snapshots, latest_tiers, latest_values)
