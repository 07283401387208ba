"""Contacts as iCalendar (RFC 5545): all-day events that a calendar program can subscribe to. Plain Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

DAY = dt.timedelta(days=1)
OCTETS = 75  # the longest line, without its end


@dataclass(frozen=True)
class Event:
    """One all-day event; `uid` stays the same when it moves."""

    uid: str
    day: dt.date
    title: str
    text: str
    url: str
    changed_at: dt.datetime


def calendar_file(name: str, events: Iterable[Event]) -> str:
    """The whole file, with lines folded and texts escaped as the standard wants them."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Mainstay//Contacts//EN", "CALSCALE:GREGORIAN"]
    lines += ["METHOD:PUBLISH", f"X-WR-CALNAME:{_escaped(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT1H"]
    for event in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{event.uid}",
            f"DTSTAMP:{event.changed_at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{event.day + DAY:%Y%m%d}",
            f"SUMMARY:{_escaped(event.title)}",
            f"DESCRIPTION:{_escaped(event.text)}",
            f"URL:{event.url}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _escaped(text: str) -> str:
    plain = "".join(c for c in text if c in "\n\t" or c.isprintable())
    for mark in ("\\", ";", ","):
        plain = plain.replace(mark, f"\\{mark}")
    return plain.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Lines of at most 75 octets; what follows begins with a blank. No character is cut in two."""
    parts, room, part = [], OCTETS, ""
    for character in line:
        size = len(character.encode())
        if size > room:
            parts.append(part)
            part, room = " ", OCTETS - 1
        part += character
        room -= size
    return "\r\n".join([*parts, part])
