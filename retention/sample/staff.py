"""The people of Tidewell Provisions: three teams, some who left, some who came later."""

import datetime as dt
from dataclasses import dataclass

from retention.sample.records import Person

DOMAIN = "tidewell.example"
COMPANY = "Tidewell Provisions"
NORTH, CENTRE, SOUTH = "North", "Centre", "South"
REGIONS = (NORTH, CENTRE, SOUTH)

# name, role, team, hired and left in days before today (None = still here)
ROSTER: tuple[tuple[str, str, str, int, int | None], ...] = (
    ("Ada Lindqvist", "administrator", "", 3000, None),
    ("Marta Kowalczyk", "marketing", "", 1900, None),
    ("Henrik Solberg", "manager", NORTH, 2600, None),
    ("Claire Dumont", "manager", CENTRE, 2200, None),
    ("Paolo Ferrante", "manager", SOUTH, 1700, None),
    ("Ingrid Maas", "sales_rep", NORTH, 2400, None),
    ("Tom Beckett", "sales_rep", NORTH, 2100, 240),
    ("Sofia Brandt", "sales_rep", CENTRE, 1800, None),
    ("Lukas Novak", "sales_rep", CENTRE, 1400, None),
    ("Elena Ricci", "sales_rep", SOUTH, 2300, None),
    ("Jan Verhoeven", "sales_rep", SOUTH, 900, None),
    ("Freya Holm", "account_manager", NORTH, 2000, None),
    ("Pia Lund", "account_manager", NORTH, 1900, 215),
    ("Nils Aaker", "account_manager", NORTH, 230, None),
    ("Anna Vogel", "account_manager", CENTRE, 2500, None),
    ("Mateo Ruiz", "account_manager", CENTRE, 1300, None),
    ("Chiara Conti", "account_manager", SOUTH, 1600, None),
    ("Emil Hauser", "account_manager", SOUTH, 1500, 510),
    ("Dora Keller", "account_manager", SOUTH, 520, None),
)
SUCCESSOR = {"Pia Lund": "Nils Aaker", "Emil Hauser": "Dora Keller"}
OVERSELLER = "Jan Verhoeven"  # promises more than operations can deliver
SLOW = frozenset({"Mateo Ruiz"})  # lets issues lie
# One sign-in of every role, for the start page and for `up`.
SHOWN = ("Ingrid Maas", "Freya Holm", "Henrik Solberg", "Marta Kowalczyk", "Ada Lindqvist")


def email_of(name: str) -> str:
    return f"{name.split()[0].lower()}@{DOMAIN}"


@dataclass(frozen=True)
class Staff:
    """Who was there on which day."""

    people: tuple[Person, ...]

    def present(self, role: str, team: str, day: dt.date) -> list[Person]:
        """People of a role in a team who were employed on `day`."""
        return [
            person
            for person in self.people
            if person.role == role
            and person.team == team
            and person.hired_on <= day
            and (person.left_on is None or day < person.left_on)
        ]

    def manager(self, team: str) -> Person:
        return next(person for person in self.people if person.role == "manager" and person.team == team)

    def person(self, email: str) -> Person:
        return next(person for person in self.people if person.email == email)

    def successor(self, email: str) -> str:
        """Who took over the accounts of somebody who left."""
        return email_of(SUCCESSOR[self.person(email).name])


def make_staff(today: dt.date) -> Staff:
    def on(days_before: int) -> dt.date:
        return today - dt.timedelta(days=days_before)

    return Staff(
        tuple(
            Person(email_of(name), name, role, team, on(hired), None if left is None else on(left))
            for name, role, team, hired, left in ROSTER
        )
    )
