"""What people are told about, on which channels they can choose to hear it, and what they hear until they choose."""

from notifications.models import Channel, Topic

# The digest is mail by nature: inside Mainstay, Today says the same and is never stale.
CHOICES: tuple[tuple[str, str], ...] = tuple(
    (topic, channel)
    for topic in Topic.values
    for channel in Channel.values
    if (topic, channel) != (Topic.DIGEST, Channel.INBOX)
)
MAILED_BY_DEFAULT = frozenset({Topic.HANDBACK, Topic.ESCALATION, Topic.DIGEST})


def is_wanted_by_default(topic: str, channel: str) -> bool:
    """Everything in the inbox; mail only for what cannot wait until one looks."""
    return channel == Channel.INBOX or topic in MAILED_BY_DEFAULT
