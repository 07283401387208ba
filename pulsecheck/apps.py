from django.apps import AppConfig


class PulsecheckConfig(AppConfig):
    name = "pulsecheck"
    verbose_name = "Pulse checks"
