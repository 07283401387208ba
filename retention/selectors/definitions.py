"""Which definition of leaving and which tier thresholds are in force."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.models.account import BillingMode
from retention.models import Definition, TierPolicy

# What holds until an administrator saves a definition.
DEFAULTS = {
    mode: Definition(segment="", billing_mode=mode, version=0)
    for mode in (BillingMode.REPEAT, BillingMode.CONTRACT)
}

InForce = Mapping[tuple[str, str], Definition]


def definitions_in_force() -> dict[tuple[str, str], Definition]:
    """The newest version per (segment, billing mode); ("", mode) always exists."""
    rows = Definition.objects.order_by("segment", "billing_mode", "-version").distinct(
        "segment", "billing_mode"
    )
    defaults = {("", mode.value): definition for mode, definition in DEFAULTS.items()}
    return defaults | {(row.segment, row.billing_mode): row for row in rows}


def definition_for(in_force: InForce, segment: str, mode: str) -> Definition:
    """The most particular one: of this segment, else of all segments."""
    return in_force.get((segment, mode)) or in_force["", mode]


def definition_versions(in_force: InForce) -> str:
    """All versions in force as one short word, such as "r2 c1 Hotels.r1"."""
    words = [
        f"{segment}.{mode[0]}{row.version}" if segment else f"{mode[0]}{row.version}"
        for (segment, mode), row in sorted(in_force.items())
    ]
    return " ".join(words)[:30]


def tier_policy_in_force() -> TierPolicy:
    """The newest row; the shipped thresholds where there is none."""
    return TierPolicy.objects.order_by("-pk").first() or TierPolicy()


def version_words(versions: str) -> str:
    """What `definition_versions` wrote, as a sentence."""
    modes = {"r": "repeat purchase", "c": "contract", "b": "both"}
    words = []
    for word in versions.split():
        segment, _, code = word.rpartition(".")
        if code[:1] in modes and code[1:].isdigit():
            state = f"version {code[1:]}" if code[1:] != "0" else "as shipped"
            words.append(f"{segment + ', ' if segment else ''}{modes[code[0]]} {state}")
    return "; ".join(words)
