"""E-mail through Django's mail backend (SMTP in production, files below the data directory in a trial)."""

from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from notifications.models import OutboxMessage


def send_mail(message: OutboxMessage) -> None:
    """Hand one mail to the mail server. Raises smtplib.SMTPException or OSError.

    The Message-ID is made of the row, so a mail sent twice after a crash is recognised as the same one.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    EmailMessage(
        subject=message.subject,
        body=message.body,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[message.to_address],
        headers={"Message-ID": f"<outbox-{message.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
    ).send()
