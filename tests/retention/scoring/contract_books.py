"""Made-up contract books: yearly and monthly terms, some customers unhappy and gone at the end of a term."""

import numpy as np

from retention.scoring.renewals import NEVER, Renewals, Terms, renewals_from_rows

START = 18_000  # a day number, 2019-04-14
YEAR = 365


def terms(*rows: tuple[int, int], **columns: object) -> Terms:
    """Contracts given as (first day, last day), days after START; further columns one value each, or a list."""
    count = len(rows)
    starts, ends = (np.array(column, dtype=np.int64) + START for column in zip(*rows, strict=True))
    given = {name: np.broadcast_to(np.asarray(value), count).copy() for name, value in columns.items()}
    never = np.full(count, NEVER)
    return Terms(
        starts, ends, given.get("known", starts), given.get("cancelled", never), given.get("disclosed", never),
        given.get("acknowledged", never), given.get("value", np.full(count, 1200.0)).astype(float),
        given.get("notice", np.zeros(count, dtype=np.int64)), given.get("renews", np.zeros(count, dtype=bool)),
    )  # fmt: skip


def one_account(*rows: tuple[int, int], grace: int = 30, **columns: object) -> Renewals:
    """The contracts of one account with id 1."""
    return renewals_from_rows(
        np.array([1]), np.ones(len(rows), dtype=np.int64), terms(*rows, **columns), np.array([grace]),
        np.array([NEVER]), {},
    )  # fmt: skip


def contract_book(accounts: int, years: int = 4, seed: int = 1, grace: int = 30) -> Renewals:
    """Yearly contracts. Customers of one kind mostly stay, of the other mostly leave; who never acknowledged the
    terms leaves more often; some cancel in the middle."""
    random = np.random.default_rng(seed)
    account, rows, cancelled, acknowledged, value = [], [], [], [], []
    kinds = random.choice(["Care", "Shops"], accounts)
    for number in range(accounts):
        starts = int(random.uniform(-YEAR, years * YEAR * 0.8))
        worth = float(random.lognormal(8, 0.6))
        knows = random.random() < 0.6
        leaves = {"Care": 0.06, "Shops": 0.4}[kinds[number]] + (0.0 if knows else 0.15)
        while starts < years * YEAR:
            account.append(number + 1)
            rows.append((starts, starts + YEAR - 1))
            value.append(round(worth, 2))
            acknowledged.append(START + starts + 5 if knows else NEVER)
            gone_early = random.random() < 0.04
            cancelled.append(START + starts + int(random.uniform(30, 330)) if gone_early else NEVER)
            if gone_early or random.random() < leaves:
                break
            starts += YEAR + int(random.uniform(0, 20))
            worth *= random.uniform(0.95, 1.1)
    return renewals_from_rows(
        np.arange(1, accounts + 1), np.array(account),
        terms(*rows, cancelled=cancelled, acknowledged=acknowledged, value=value),
        np.full(accounts, grace), np.full(accounts, NEVER), {"segment": kinds.astype(object)},
    )  # fmt: skip
