"""What a row of Today is, and how rows are ranked. How to add a kind of row: docs/design.md, "A row of Today".

Kinds stand in `retention/selectors/today_*.py`, each a function that reads in one query (or a fixed number) what a
person owes somebody, and one line in `KINDS` of `retention/selectors/today.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

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
class Task:
    """One row of Today. `row_id` is the id of the record that `kind` names; `also` are other duties at the account.
    `account`, `score` and its money are filled in for the rows that are shown.

    A duty that belongs to no account (a meeting, a muted trigger) says its `title` and where it is done
    (`page`, `of`: name and number of an address) instead. `due_word` stands before the day."""

    kind: str
    account_id: int | None
    why: str
    next_step: str
    due_on: dt.date | None
    row_id: int
    acts: Sequence[Act] = ()
    title: str = ""
    page: str = ""
    of: int | None = None
    due_word: str = "due"
    account: Account | None = None
    score: Score | None = None
    money: Decimal | None = None
    currency: str = ""
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
    scored = _with_scores(found, asker.run)
    tasks = merge_by_account(sorted(scored, key=lambda task: urgency(task, mine[task.kind], asker.today)))
    shown = tasks[: asker.user.calls_per_day]
    return Today(_with_accounts(shown), len(tasks) - len(shown), asker.user.calls_per_day)


def urgency(task: Task, kind: Kind, today: dt.date) -> tuple[int, int, Decimal]:
    """Late and due today first, then by kind, then most money at risk in the company's currency."""
    is_due = task.due_on is not None and task.due_on <= today and not kind.may_wait
    money = task.score.revenue_at_risk_company if task.score else Decimal(0)
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


def _with_accounts(tasks: Sequence[Task]) -> list[Task]:
    """Read once for all kinds: two dozen joins of the widest table would be most of what the page costs."""
    found = Account.objects.in_bulk({task.account_id for task in tasks if task.account_id is not None})
    return [replace(task, account=found.get(task.account_id or 0)) for task in tasks]


def _with_scores(tasks: Sequence[Task], run: ScoreRun | None) -> list[Task]:
    ids = {task.account_id for task in tasks if task.account_id is not None and task.score is None}
    if run is None or not ids:
        return list(tasks)
    scores = {s.account_id: s for s in Score.objects.filter(as_of=run.as_of, account__in=ids)}
    return [_with_score(task, scores.get(task.account_id or 0)) for task in tasks]


def _with_score(task: Task, score: Score | None) -> Task:
    if score is None:
        return task
    return replace(task, score=score, money=score.revenue_at_risk, currency=score.currency)


# ── acts that several kinds share ──────────────────────────────────────
def log_call(account_id: int) -> Act:
    """A call that was made, in one sentence."""
    asked = Field("subject", "What came of it, in one sentence", longest=500)
    was_for = Field(
        "message_class",
        "What it was for",
        options=[("", "Not said"), *MessageClass.choices],
        is_required=False,
    )
    return Act(
        "Log a call",
        "retention:log_interaction",
        account_id,
        "phone",
        is_post=True,
        fields=[asked, was_for],
        fixed=[("kind", "call")],
    )


def put_off(account_id: int) -> Act:
    """Look at the account again on another day, with the reason."""
    until, reason = Field("until", "Until", "date"), Field("reason", "Why it can wait")
    return Act("Put off", "retention:put_off", account_id, is_post=True, fields=[until, reason])
