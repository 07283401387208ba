"""BG/NBD against published values and against its own story told by simulation."""

import numpy as np
import pytest

from retention.scoring.bgnbd import BgNbd, fit_bgnbd, log_likelihood
from retention.scoring.money import GammaGamma
from retention.scoring.worth import worth_of
from tests.retention.scoring.integral import orders

# Fader, Hardie and Lee (2005), CDNOW, in weeks.
CDNOW = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)


def arrays(*values: float) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value]) for value in values)


def test_expected_orders_of_the_published_customer() -> None:
    """x = 2, t_x = 30.43, T = 38.86: 1.226 purchases in the next 39 weeks (the authors' worked example)."""
    assert orders(CDNOW, *arrays(2.0, 30.43, 38.86), 39.0)[0] == pytest.approx(1.226, abs=5e-4)


def test_likelihood_of_one_customer_matches_the_closed_form() -> None:
    """For x = 0 the likelihood is (alpha / (alpha + T)) ** r."""
    assert log_likelihood(CDNOW, *arrays(0.0, 0.0, 38.86)) == pytest.approx(0.243 * np.log(4.414 / 43.274))


def test_a_customer_without_repeat_purchase_is_alive_yet_likely_silent() -> None:
    state = arrays(0.0, 0.0, 38.86)
    assert CDNOW.p_alive(*state)[0] == 1.0
    assert CDNOW.p_silent(*state, 13.0)[0] == pytest.approx((43.274 / 56.274) ** 0.243)


def simulated(customers: int, weeks: float, more: float) -> tuple[np.ndarray, ...]:
    """x, t_x, T and the purchases of the `more` weeks after, drawn from the model's own story."""
    random = np.random.default_rng(3)
    rate = random.gamma(CDNOW.r, 1 / CDNOW.alpha, customers)
    stop = random.beta(CDNOW.a, CDNOW.b, customers)
    x, last, later = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    for i in range(customers):
        now = random.exponential(1 / rate[i])
        while now < weeks + more:
            if now < weeks:
                x[i], last[i] = x[i] + 1, now
            else:
                later[i] += 1
            if random.random() < stop[i]:
                break
            now += random.exponential(1 / rate[i])
    return x, last, np.full(customers, weeks), later


def test_p0_and_expected_orders_agree_with_simulation() -> None:
    x, t_x, age, later = simulated(20_000, 39.0, 39.0)
    p_silent = CDNOW.p_silent(x, t_x, age, 39.0)
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95)):
        group = (p_silent >= low) & (p_silent < high)
        assert (later[group] == 0).mean() == pytest.approx(p_silent[group].mean(), abs=0.03)
    assert later.mean() == pytest.approx(orders(CDNOW, x, t_x, age, 39.0).mean(), rel=0.05)


def test_fit_finds_the_parameters_it_was_simulated_with() -> None:
    x, t_x, age, _ = simulated(20_000, 78.0, 0.0)
    found = fit_bgnbd(x, t_x, age, unit=10.0)
    assert found.r == pytest.approx(CDNOW.r, rel=0.06)
    assert found.alpha == pytest.approx(CDNOW.alpha, rel=0.15)
    assert log_likelihood(found, x, t_x, age) >= log_likelihood(CDNOW, x, t_x, age) - 1


def test_fit_does_not_depend_on_the_unit_of_time() -> None:
    x, t_x, age, _ = simulated(2_000, 39.0, 0.0)
    weeks = fit_bgnbd(x, t_x, age, unit=10.0)
    days = fit_bgnbd(x, t_x * 7, age * 7, unit=70.0)
    assert days.alpha == pytest.approx(weeks.alpha * 7, rel=1e-4)
    assert days.a == pytest.approx(weeks.a, rel=1e-4)


def test_one_customer_alone_has_a_fit() -> None:
    found = fit_bgnbd(*arrays(0.0, 0.0, 0.0), unit=30.0, pull=10.0)
    assert np.isfinite(found.p_silent(*arrays(0.0, 0.0, 0.0), 90.0)).all()


def test_ten_thousand_purchases_stay_finite() -> None:
    state = arrays(10_000.0, 3_000.0, 3_001.0)
    assert 0 <= CDNOW.p_silent(*state, 10.0)[0] <= 1
    worth = worth_of(CDNOW, GammaGamma(6.0, 4.0, 15.0), state[0], state[2], np.array([30.0]))
    sums = np.array([worth.low[0], worth.expected[0], worth.high[0], worth.lifetime[0]])
    assert np.isfinite(sums).all()
    assert (sums > 0).all()
