"""What a row of Today is, and how rows are ranked. How to add a kind of row: docs/design.md, "A row of Today".

Kinds stand in `retention/selectors/today_*.py`, each a function that reads in one query (or a fixed number) what a
person owes somebody, and one line in `KINDS` of `retention/selectors/today.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils.functional import Promise

from accounts.models import Account, User
from accounts.models.care import MessageClass
from accounts.permissions import CARERS, has_role
from retention.models import Score, ScoreRun

# A kind reads at most so many rows: nobody does more in a day.
MOST_OF_A_KIND = 40


@dataclass(frozen=True)
class Asker:
    """Whose Today it is, on which day of the company, and the newest published run."""

    user: User
    today: dt.date
    run: ScoreRun | None = None


@dataclass(frozen=True)
class Field:
    """One thing that is asked for before an act is done. `kind`: text, date, number, or one of a menu of `options`."""

    name: str
    label: str
    kind: str = "text"
    placeholder: str = ""
    longest: int = 300
    is_required: bool = True
    options: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Act:
    """What can be done in place. `page` is the name of an address and `of` its number. Without `is_post` it is a link;
    with it a button, which first opens its `fields` when there are any. `fixed` are values sent along unseen.

    The address gets `back=/` too, and comes back here when it is done (`retention.views.account.back`)."""

    label: str
    page: str
    of: int | None = None
    icon: str = ""
    is_post: bool = False
    fields: Sequence[Field] = ()
    fixed: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Standing:
    """How an account stands in the newest run: its tier, and its money at risk a year, also in the company's currency."""

    tier: str
    money: Decimal
    currency: str
    money_company: Decimal


@dataclass(frozen=True)
class Task:
    """One row of Today. `row_id` is the id of the record that `kind` names; `also` are other duties at the account.
    `account` and `standing` are filled in for the rows that are shown.

    A duty that belongs to no account (a meeting, a muted trigger) says its `title` and where it is done
    (`page`, `of`: name and number of an address) instead. `due_word` stands before the day. `why` may be words that are put
    together only when somebody reads them: most rows wait."""

    kind: str
    account_id: int | None
    why: str | Promise
    next_step: str
    due_on: dt.date | None
    row_id: int
    acts: Sequence[Act] = ()
    title: str = ""
    page: str = ""
    of: int | None = None
    due_word: str = "due"
    account: Account | None = None
    standing: Standing | None = None
    also: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, int]:
        """Rows of the same account are one row."""
        return (self.kind, self.row_id) if self.account_id is None else ("account", self.account_id)


@dataclass(frozen=True)
class Kind:
    """A kind of row: its name, its place among duties that are equally late (small comes first), how it is read, and
    for which roles. Most rows rise when their day has come; what is only worth doing (`may_wait`) never does."""

    name: str
    rank: int
    find: Callable[[Asker], Iterable[Task]]
    roles: Sequence[str] = CARERS
    may_wait: bool = False


@dataclass(frozen=True)
class Today:
    """The rows to show, how many can wait, and how many calls this person makes in a day."""

    tasks: list[Task]
    waiting: int
    capacity: int


def rows_of(asker: Asker, kinds: Iterable[Kind]) -> Today:
    """Everything the person owes somebody, most urgent first, one row per account, as many as they can do in a day."""
    mine = {kind.name: kind for kind in kinds if has_role(asker.user, *kind.roles)}
    found = [task for kind in mine.values() for task in kind.find(asker)]
    standings = _standings(found, asker.run)

    def place(task: Task) -> tuple[int, int, Decimal]:
        return urgency(task, mine[task.kind], asker.today, standings.get(task.account_id or 0))

    tasks = merge_by_account(sorted(found, key=place))
    shown = _filled(tasks[: asker.user.calls_per_day], standings)
    return Today(shown, len(tasks) - len(shown), asker.user.calls_per_day)


def urgency(task: Task, kind: Kind, today: dt.date, standing: Standing | None) -> tuple[int, int, Decimal]:
    """Late and due today first, then by kind, then most money at risk in the company's currency."""
    is_due = task.due_on is not None and task.due_on <= today and not kind.may_wait
    money = standing.money_company if standing else Decimal(0)
    return 0 if is_due else 1, kind.rank, -money


def merge_by_account(tasks: Iterable[Task]) -> list[Task]:
    """One row per account: the most urgent duty, the others named beside it."""
    rows: dict[tuple[str, int], Task] = {}
    for task in tasks:
        first = rows.get(task.key)
        if first is None:
            rows[task.key] = task
        elif task.next_step not in first.also:
            rows[task.key] = replace(first, also=[*first.also, task.next_step])
    return list(rows.values())


def _filled(tasks: Sequence[Task], standings: Mapping[int, Standing]) -> list[Task]:
    """With their accounts, read once for all kinds: two dozen joins of the widest table would be most of what the page
    costs."""
    found = Account.objects.in_bulk({task.account_id for task in tasks if task.account_id is not None})
    return [
        replace(task, account=found.get(task.account_id or 0), standing=standings.get(task.account_id or 0))
        for task in tasks
    ]


def _standings(tasks: Sequence[Task], run: ScoreRun | None) -> dict[int, Standing]:
    """Of the accounts of these rows, by their ids; one query."""
    ids = {task.account_id for task in tasks if task.account_id is not None}
    if run is None or not ids:
        return {}
    rows = Score.objects.filter(as_of=run.as_of, account__in=ids).values_list(
        "account_id", "tier", "revenue_at_risk", "currency", "revenue_at_risk_company"
    )
    return {pk: Standing(tier, money, code, company) for pk, tier, money, code, company in rows}


# ── acts that several kinds share ──────────────────────────────────────
CALL_FIELDS = (
    Field("subject", "What came of it, in one sentence", longest=500),
    Field(
        "message_class",
        "What it was for",
        options=[("", "Not said"), *MessageClass.choices],
        is_required=False,
    ),
)
PUT_OFF_FIELDS = (Field("until", "Until", "date"), Field("reason", "Why it can wait"))


def log_call(account_id: int) -> Act:
    """A call that was made, in one sentence."""
    return Act(
        "Log a call",
        "retention:log_interaction",
        account_id,
        "phone",
        is_post=True,
        fields=CALL_FIELDS,
        fixed=[("kind", "call")],
    )


def put_off(account_id: int) -> Act:
    """Look at the account again on another day, with the reason."""
    return Act("Put off", "retention:put_off", account_id, is_post=True, fields=PUT_OFF_FIELDS)
