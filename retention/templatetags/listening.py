"""Figures from few answers, and the pulse over time."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pulsecheck.intervals import Interval
from pulsecheck.models import PulseCheck
from retention.templatetags.mainstay import MINUS, percent

register = template.Library()


@register.filter
def share_between(interval: Interval | None) -> str:
    """A share's interval: "62 % to 81 %"."""
    return f"{percent(interval.low)} to {percent(interval.high)}" if interval else ""


@register.filter
def signed(value: float) -> str:
    """Points with their sign: +12, −6, 0."""
    rounded = round(value)
    return f"{'+' if rounded > 0 else MINUS if rounded < 0 else ''}{abs(rounded)}"


@register.filter
def points_between(interval: Interval | None) -> str:
    """An interval in points: "+12 to +48"."""
    return f"{signed(interval.low)} to {signed(interval.high)}" if interval else ""


@register.simple_tag
def ticked_bar(times: int, most: int) -> SafeString:
    """How often a value was ticked, beside the one ticked most often."""
    width = 100 * times / most if most else 0
    return format_html(
        '<svg class="level" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="10"/></svg>',
        f"{width:.1f}",
    )


@register.simple_tag
def pulse_line(pulses: Sequence[PulseCheck], width: int = 640) -> SafeString:
    """Pulse checks on their six points over time, oldest at the left; a table stands beside it."""
    if len(pulses) < 2:
        return SafeString("")
    first, last = pulses[0].taken_at, pulses[-1].taken_at
    span = max((last - first).total_seconds(), 1.0)
    spots = [
        (
            24 + (width - 36) * (p.taken_at - first).total_seconds() / span,
            8 + 110 * (6 - p.score) / 5,
            p.score,
        )
        for p in pulses
    ]
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} 142" role="img" aria-label="{label}">{grid}'
        '<polyline class="line" points="{line}"/>{dots}'
        '<text x="24" y="138">{a}</text><text x="{w}" y="138" text-anchor="end">{b}</text></svg>',
        w=width,
        label=f"{len(pulses)} pulse checks, from {pulses[0].score} to {pulses[-1].score} of 6",
        grid=format_html_join(
            "",
            '<line class="grid" x1="20" x2="{}" y1="{}" y2="{}"/><text x="0" y="{}">{}</text>',
            (
                (width, 8 + 110 * (6 - n) / 5, 8 + 110 * (6 - n) / 5, 12 + 110 * (6 - n) / 5, n)
                for n in range(1, 7)
            ),
        ),
        line=" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots),
        dots=format_html_join(
            "",
            '<circle class="dot" cx="{}" cy="{}" r="3.5"/>',
            ((f"{x:.1f}", f"{y:.1f}") for x, y, _ in spots),
        ),
        a=f"{first:%b %Y}",
        b=f"{last:%b %Y}",
    )
