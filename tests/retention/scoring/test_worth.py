"""Money: against simulation of the model it comes from, and known answers."""

import numpy as np
import pytest

from retention.scoring.bgnbd import BgNbd
from retention.scoring.money import GammaGamma, Margins
from retention.scoring.worth import DISCOUNT, worth_of
from tests.retention.scoring.integral import orders_if_alive

BUYING = BgNbd(r=0.6, alpha=40.0, a=0.8, b=2.5)
VALUES = GammaGamma(p=6.0, q=4.0, v=15.0)


def simulated(x: float, age: float, orders: int, mean: float, customers: int = 40_000):
    """(customers, 5) money per year of customers who have not stopped, drawn from the model's own story."""
    random = np.random.default_rng(5)
    rate = random.gamma(BUYING.r + x, 1 / (BUYING.alpha + age), customers)
    stops = random.beta(BUYING.a, BUYING.b + x, customers)
    scale = random.gamma(
        VALUES.p * orders + VALUES.q, 1 / (VALUES.v + VALUES.p * orders * mean / VALUES.p), customers
    )
    moment, money = np.zeros(customers), np.zeros((customers, 5))
    active = np.ones(customers, dtype=bool)
    while active.any():
        moment[active] += random.exponential(1 / rate[active])
        active &= moment < 5 * 365
        who = np.flatnonzero(active)
        money[who, (moment[who] // 365).astype(int)] += random.gamma(VALUES.p, 1 / scale[who])
        active &= random.random(customers) >= stops
    return money


@pytest.mark.parametrize(("x", "age"), [(0.0, 30.0), (4.0, 200.0), (30.0, 700.0)])
def test_a_year_its_range_and_a_lifetime_are_those_of_the_model(x: float, age: float) -> None:
    orders, mean = int(x) + 1, 6.0
    money = simulated(x, age, orders, mean)

    worth = worth_of(BUYING, VALUES, np.array([x]), np.array([age]), np.array([mean]))

    assert worth.expected[0] == pytest.approx(money[:, 0].mean(), rel=0.04)
    assert (money[:, 0] > worth.high[0]).mean() == pytest.approx(0.1, abs=0.03)
    too_low = (money[:, 0] < worth.low[0]).mean()
    assert too_low == pytest.approx(0.1, abs=0.05) if worth.low[0] > 0 else (money[:, 0] == 0).mean() >= 0.1
    discounted = (money / (1 + DISCOUNT) ** (np.arange(5) + 0.5)).sum(axis=1)
    assert worth.lifetime[0] == pytest.approx(discounted.mean(), rel=0.05)


def test_the_table_is_as_good_as_the_integral() -> None:
    x = np.repeat([0.0, 1.0, 7.0, 60.0, 499.0], 40)
    age = np.tile(np.linspace(0, 4_000, 40), 5)
    worth = worth_of(BUYING, VALUES, x, age, np.full(200, 6.0))
    exact = orders_if_alive(BUYING, x, age, 365.0) * VALUES.mean_value(x + 1, np.full(200, 6.0))
    assert worth.expected == pytest.approx(exact, rel=5e-4)


def test_an_account_of_known_cost_moves_toward_its_own_margin() -> None:
    margins = Margins(np.array([3, 8]), np.array([900.0, 100.0]), np.array([450.0, 80.0]))

    assert margins.of_book() == pytest.approx(1 - 530 / 1000)
    # five orders of 20 at the book's 47 % count beside the account's own sales
    own = (450 + 100 * 0.47) / 1000
    assert margins.of(np.array([3, 5]), 0.47, 20.0) == pytest.approx([own, 0.47])
    assert margins.between(4, 9).account_ids.tolist() == [8]
    assert margins.only(np.array([1, 3])).sold.tolist() == [900.0]
    assert margins.only(np.array([1, 2])).of_book() is None
