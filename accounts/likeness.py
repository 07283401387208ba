"""When two entries are one person at a customer, as SQL. Connected systems, merges and the search for duplicates ask
the same question and get the same answer."""

from __future__ import annotations

PHONE_DIGITS = 8  # the last ones: country and area codes are written in many ways
# How alike two entries of one account are: the smaller, the more certain.
SURE, ENOUGH, DOUBTFUL = 0, 1, 2


def phone_end(column: str) -> str:
    """The last digits of a telephone number; empty where there are too few to tell anything."""
    digits = f"regexp_replace({column}, '\\D', '', 'g')"
    return f"CASE WHEN length({digits}) >= {PHONE_DIGITS} THEN right({digits}, {PHONE_DIGITS}) ELSE '' END"


def plainly(row: str) -> str:
    """The columns name, email and phone of a row, written so that they can be compared."""
    name = f"upper(trim(regexp_replace({row}.name, '\\s+', ' ', 'g')))"
    return f"{name} AS name, lower({row}.email) AS email, {phone_end(f'{row}.phone')} AS phone"


def likeness(one: str, other: str) -> str:
    """How alike two rows of `plainly` are, both of one account; NULL when they are two people.

    SURE: the same e-mail and name. ENOUGH: the same e-mail, or the same name and telephone. DOUBTFUL: the same
    telephone, with another name, and not an e-mail each: a switchboard has one number, and so has who is called
    differently in two systems.
    """
    email = f"({one}.email <> '' AND {one}.email = {other}.email)"
    phone = f"({one}.phone <> '' AND {one}.phone = {other}.phone)"
    name = f"{one}.name = {other}.name"
    return (
        f"CASE WHEN {email} AND {name} THEN {SURE} WHEN {email} OR ({phone} AND {name}) THEN {ENOUGH}"
        f" WHEN {phone} AND ({one}.email = '' OR {other}.email = '') THEN {DOUBTFUL} END"
    )
