"""What is known beyond orders tells more of the sample company's customers than their orders alone."""

import datetime as dt

from retention.sample.company import SEED, generate
from tests.retention.sample.arrays import measure

TODAY = dt.date(2026, 11, 21)


def test_records_beyond_orders_improve_the_score_and_the_model_says_which() -> None:
    worth = measure(generate(TODAY, SEED), TODAY)
    print(
        f"{worth.customers} customers: log loss {worth.orders:.4f} by orders, {worth.both:.4f} with what is known"
    )
    assert worth.both < worth.orders - 0.002 < worth.base
    found = worth.model.summary["signals"]
    assert found["taken"]
    assert found["gain"] > 0.002
    assert sum(factor["kept"] for factor in found["factors"].values()) >= 3
    assert worth.model.adjustment is not None
    kept = {name for name, factor in found["factors"].items() if factor["kept"]}
    assert set(worth.model.adjustment.factors) <= kept
