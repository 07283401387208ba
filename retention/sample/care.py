"""What passes between a customer and us: the people there, complaints, promises, conversations, questions, pulses."""

import datetime as dt

from retention.sample import texts
from retention.sample.names import TITLES, address, person_name
from retention.sample.records import (
    ContactRecord,
    EnquiryRecord,
    InteractionRecord,
    IssueRecord,
    PlanRecord,
    PromiseRecord,
    PulseRecord,
)
from retention.sample.staff import SLOW, email_of
from retention.sample.story import Story
from retention.sample.world import add_days, add_working_days, office_hours, working_day


class Care:
    """Everything but orders."""

    def __init__(self, story: Story) -> None:
        self.story = story

    def meet(self) -> None:
        self._add_person("decision_maker", 0.95, self.story.begin)
        self._add_person("champion", 0.85, self.story.begin)
        self._add_person("billing", 0.45, self.story.begin)
        self._add_person("user", 0.35, self.story.begin)
        if self.story.customer.is_oversold:
            for _ in range(self.story.rng.randrange(1, 3)):
                self._promise("sales", self.story.begin, self.story.customer.salesperson, breaks=0.5)

    def _add_person(self, role: str, chance: float, day: dt.date) -> None:
        rng = self.story.rng
        if rng.random() > chance:
            return
        name = person_name(rng)
        key = self.story.ledger.next_key("P")
        phone = f"+00 555 {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
        self.story.people.append(
            ContactRecord(
                key, self.story.customer.key, name, address(name, self.story.customer.name), phone,
                rng.choice(TITLES[role]), role, True, None, rng.random() < 0.55,
                office_hours(rng, day),
            )
        )  # fmt: skip

    def their_people_change(self, week: dt.date) -> None:
        rng = self.story.rng
        for position, person in enumerate(self.story.people):
            if not person.is_active or rng.random() > 0.0032:
                continue
            day = add_days(week, rng.randrange(7))
            if day > self.story.world.today:
                continue
            self.story.people[position] = person._replace(is_active=False, left_on=day)
            if person.role in {"champion", "decision_maker"}:
                self.story.strain["champion"] += rng.uniform(0.9, 1.9)
                self._add_person(person.role, 0.65, day)
            return

    def complaints(self, week: dt.date) -> None:
        if self.story.rng.random() < 0.01:
            theme = self.story.rng.choice(("quality", "quality", "invoicing", "range", "service"))
            self.issue(working_day(add_days(week, self.story.rng.randrange(5))), theme)

    def issue(self, day: dt.date, theme: str, days: int = 0) -> None:
        """A complaint strains for as long as it lies open; one that is settled within a week nearly makes up for it."""
        rng, today = self.story.rng, self.story.world.today
        if day > today:
            return
        opened_at = office_hours(rng, day)
        is_slow = self.story.manager in {email_of(name) for name in SLOW}
        taken = rng.lognormvariate(3.3 if is_slow else 2.1, 0.8)
        resolved_at = office_hours(rng, working_day(add_days(day, max(1, taken))))
        self.story.coming.append((day, "issue", 0.25))
        for waited in range(10, min(int(taken), 120), 10):
            self.story.coming.append((add_days(day, waited), "issue", 0.22))
        if taken < 8:
            self.story.coming.append((resolved_at.date(), "issue", -0.15))
        self.story.ledger.issues.append(
            IssueRecord(
                self.story.ledger.next_key("I"), self.story.customer.key, opened_at,
                rng.choices(("low", "medium", "high"), (3, 5, 2))[0], theme,
                rng.choice(texts.ISSUES[theme]).format(days=days), self.story.manager, add_working_days(day, 5),
                resolved_at if resolved_at.date() <= today else None,
                rng.choices(("valid", "partly", "invalid", "unknown"), (6, 2, 1, 1))[0],
            )
        )  # fmt: skip
        self.touch(day, "ticket", "in", f"Complaint about {theme}")
        if rng.random() < 0.5:
            self._promise(theme, day, self.story.manager, breaks=0.13)

    def _promise(self, theme: str, day: dt.date, made_by: str, breaks: float) -> None:
        rng, today = self.story.rng, self.story.world.today
        due_on = add_working_days(day, rng.randrange(3, 15))
        fate = rng.choices(("kept", "late", "broken"), (0.9 - breaks, 0.1, breaks))[0]
        kept_on = {"kept": due_on, "late": add_working_days(due_on, rng.randrange(2, 9)), "broken": None}[
            fate
        ]
        strain = {"kept": -0.1, "late": 0.3, "broken": 1.0}[fate]
        self.story.coming.append((due_on, "promise", strain))
        if due_on >= today or (kept_on and kept_on > today):
            fate, kept_on = "open", None
        self.story.ledger.promises.append(
            PromiseRecord(
                self.story.ledger.next_key("V"), self.story.customer.key, rng.choice(texts.PROMISES[theme]), made_by, day,
                due_on, kept_on, fate,
            )
        )  # fmt: skip

    def contacts_of_ours(self, week: dt.date) -> None:
        rng = self.story.rng
        silent = (week - self.story.last_touch).days
        if silent > 80:
            self.story.strain["silence"] += 0.05
        if rng.random() < 7 / self.story.customer.touch_gap:
            is_sales = rng.random() < 0.15
            kind, subject = rng.choice(texts.SALES_TOUCHES if is_sales else texts.TOUCHES)
            day = working_day(add_days(week, rng.randrange(5)))
            self.touch(day, kind, "out", subject, self.story.seller(day) if is_sales else None)
            if rng.random() < 0.04:
                self._promise("sales", day, self.story.manager, breaks=0.1)

    def touch(self, day: dt.date, kind: str, direction: str, subject: str, user: str | None = None) -> None:
        if day > self.story.world.today:
            return
        if direction == "out":
            self.story.last_touch = max(self.story.last_touch, day)
            self.story.strain["silence"] *= 0.3
        self.story.ledger.interactions.append(
            InteractionRecord(
                self.story.ledger.next_key("T"), self.story.customer.key, office_hours(self.story.rng, day), kind, direction,
                self.story.somebody(), user or self.story.in_charge(day), *self._said(kind, direction, subject),
            )
        )  # fmt: skip

    def _said(self, kind: str, direction: str, subject: str) -> tuple[str, str]:
        """What was said and what for: whoever was oversold goes on hearing offers; of some calls nobody said it."""
        if direction == "out" and self.story.customer.is_oversold:
            subject = texts.OFFERS_INSTEAD.get(subject, subject)
        usual = "service" if kind == "ticket" or subject.startswith("Handback:") else ""
        return subject, texts.CLASSES.get(subject, usual) if direction == "out" else usual

    def enquiry(self, week: dt.date) -> None:
        rng, today = self.story.rng, self.story.world.today
        day = working_day(add_days(week, rng.randrange(5)))
        if rng.random() > 0.012 or day > today:
            return
        received_at = office_hours(rng, day)
        hours = rng.lognormvariate(2.2, 1.1) if rng.random() < 0.9 else rng.uniform(60, 260)
        answer_at = received_at + dt.timedelta(minutes=round(hours * 60))
        responded_at = answer_at if answer_at.date() <= today else None
        self.story.ledger.enquiries.append(
            EnquiryRecord(
                self.story.ledger.next_key("Q"), self.story.customer.key, self.story.somebody(), received_at,
                rng.choice(texts.ENQUIRY_SOURCES), rng.choice(texts.ENQUIRIES), self.story.manager,
                "" if responded_at else "Answer by telephone", responded_at,
            )
        )  # fmt: skip

    def pulse(self, week: dt.date) -> None:
        rng = self.story.rng
        if week < self.story.next_pulse:
            return
        due_on = working_day(self.story.next_pulse)
        taken_on = working_day(add_days(due_on, rng.choice((-2, 0, 0, 0, 1, 3, 8))))
        self.story.next_pulse = add_days(due_on, rng.uniform(40, 120))
        if taken_on > self.story.world.today or rng.random() < 0.12:
            return
        cause = (
            max(self.story.strain, key=self.story.strain.__getitem__)
            if self.story.total_strain > 0.45
            else None
        )
        theme = texts.THEME_OF_CAUSE[cause] if cause else None
        mood = 5.4 - 1.35 * self.story.total_strain + rng.gauss(0, 0.7)
        mentioned = theme or "fine"
        due = add_working_days(taken_on, rng.randrange(5, 20))
        done = (
            office_hours(rng, due)
            if due < add_days(self.story.world.today, -3) and rng.random() < 0.9
            else None
        )
        self.story.ledger.pulses.append(
            PulseRecord(
                self.story.customer.key, due_on, self.story.manager, office_hours(rng, taken_on), self.story.somebody(),
                max(1, min(6, round(mood))), theme, rng.choice(texts.PULSE_NOTES[mentioned]),
                texts.NEXT_STEPS[mentioned], due, done,
            )
        )  # fmt: skip
        self.touch(taken_on, "call", "out", "Pulse check")

    def plan(self) -> None:
        """The next planned contact; one in ten was due lately and missed."""
        if self.story.left_on is not None:
            return
        due_on = self.story.next_pulse
        if self.story.rng.random() < 0.1:
            due_on = add_days(self.story.world.today, -self.story.rng.randrange(1, 13))
        self.story.ledger.plans.append(
            PlanRecord(self.story.customer.key, self.story.manager, working_day(due_on))
        )
