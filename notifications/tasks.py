"""Sending what waits in the outbox; rung every half minute, and may be rung as often as anybody likes."""

from celery import shared_task
from django.utils import timezone

from notifications import services
from notifications.services import webhooks


@shared_task
def deliver() -> None:
    services.deliver_outbox()
    services.forget_sent_mail(timezone.now())


@shared_task
def deliver_webhooks() -> None:
    webhooks.deliver_webhooks()
    webhooks.forget_old_events(timezone.now())
