"""Made-up books for the scoring tests: customers with an own pace who stop one day."""

import numpy as np

from retention.scoring.history import History, history_from_rows

START = 18_000  # a day number
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def book_rows(customers: int, days: int = 720, seed: int = 1, stays: float = 300.0) -> Rows:
    """Account, day and amount of every order, in no particular order."""
    random = np.random.default_rng(seed)
    account, day, amount = [], [], []
    for customer in range(1, customers + 1):
        now = random.uniform(0, days * 0.7)
        last = now + random.exponential(stays)
        pace, size = random.gamma(2.0, 15.0) + 3, random.lognormal(4.0, 0.7)
        while now <= min(last, days):
            account.append(customer)
            day.append(START + int(now))
            amount.append(round(size * random.lognormal(0, 0.3), 2))
            now += random.exponential(pace)
    shuffled = random.permutation(len(account))
    return np.array(account)[shuffled], np.array(day)[shuffled], np.array(amount)[shuffled]


def book(customers: int, days: int = 720, seed: int = 1, stays: float = 300.0) -> History:
    return history_from_rows(*book_rows(customers, days, seed, stays))


def of_account(*orders: tuple[int, float]) -> History:
    """One account with orders given as (days after START, amount)."""
    days, amounts = zip(*orders, strict=True)
    return history_from_rows(
        np.ones(len(orders), dtype=int), np.array(days) + START, np.array(amounts, dtype=float)
    )
