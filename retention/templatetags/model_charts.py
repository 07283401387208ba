"""Charts of the Model page, drawn by the server; a table beside each says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from retention.templatetags.mainstay import percent

register = template.Library()

SIZE, LEFT, BOTTOM, TOP = 300, 40, 36, 8


@register.simple_tag
def calibration_chart(groups: Sequence[Mapping[str, Any]]) -> SafeString:
    """What was said across, what happened upwards; on the line they agree."""
    if not groups:
        return SafeString("")
    side = SIZE - LEFT - TOP

    def x(share: float) -> float:
        return LEFT + side * share

    def y(share: float) -> float:
        return TOP + side * (1 - share)

    ticks = [(x(t), y(t), percent(t)) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    spots = [(x(group["said"]), y(group["happened"]), group) for group in groups]
    height = TOP + side + BOTTOM
    return format_html(
        '<svg class="chart calibration" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{grid}'
        '<line class="agree" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/>'
        '<polyline class="line" points="{points}"/>{dots}'
        '<text x="{mid}" y="{foot}" text-anchor="middle">said before</text>'
        '<text x="{beside}" y="{top}">share that left</text></svg>',
        w=SIZE,
        h=height,
        label="Said against happened in groups of customers: "
        + ", ".join(f"{percent(g['said'])} said, {percent(g['happened'])} left" for g in groups),
        grid=format_html_join(
            "",
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{}" text-anchor="middle">{}</text>',
            (
                (LEFT, SIZE - TOP, f"{ty:.1f}", f"{ty:.1f}", f"{tx:.1f}", f"{tx:.1f}", TOP, f"{y(0):.1f}",
                 LEFT - 6, f"{ty + 4:.1f}", text, f"{tx:.1f}", f"{y(0) + 15:.1f}", text)
                for tx, ty, text in ticks
            ),
        ),
        x0=f"{x(0):.1f}",
        y0=f"{y(0):.1f}",
        x1=f"{x(1):.1f}",
        y1=f"{y(1):.1f}",
        points=" ".join(f"{sx:.1f},{sy:.1f}" for sx, sy, _ in spots),
        dots=format_html_join(
            "",
            '<circle class="dot" cx="{}" cy="{}" r="4"><title>{} said, {} left, {} customers</title></circle>',
            (
                (f"{sx:.1f}", f"{sy:.1f}", percent(g["said"]), percent(g["happened"]), f"{g['customers']:,}")
                for sx, sy, g in spots
            ),
        ),
        mid=f"{x(0.5):.1f}",
        foot=height - 2,
        beside=LEFT + 6,
        top=TOP + 13,
    )  # fmt: skip
