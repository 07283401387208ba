"""E-mail through Django's mail backend (SMTP in production, files below the data directory in a trial)."""

from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from accounts.selectors import get_company
from notifications.models import OutboxMessage


def send_mail(message: OutboxMessage) -> None:
    """Hand one mail to the mail server. Raises smtplib.SMTPException or OSError, and ValueError for an address that is none.

    The Message-ID is made of the row, so a mail sent twice after a crash is recognised as the same one.
    """
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    domain = address.rpartition("@")[2] or "localhost"
    # Customers hear from the company, not from the program that it uses.
    is_outside = message.user_id is None
    EmailMessage(
        subject=message.subject,
        body=message.body,
        from_email=formataddr((_on_one_line(get_company().name), address))
        if is_outside
        else settings.DEFAULT_FROM_EMAIL,
        to=[message.to_address],
        reply_to=[message.reply_to] if message.reply_to else None,
        headers={"Message-ID": f"<outbox-{message.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
    ).send()


def _on_one_line(name: str) -> str:
    """A name as a header may hold it."""
    return " ".join(name.split())
