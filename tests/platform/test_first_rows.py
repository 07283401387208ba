import pytest

from accounts.models import Account, ChurnReason
from tests.conftest import FirstRows
from tests.factories import AccountFactory


@pytest.mark.parametrize("few_bytes", [FirstRows.FEW_BYTES, 0], ids=["deleted", "truncated"])
def test_the_migrations_rows_are_put_back_and_others_are_gone(committed_db: None, few_bytes: int) -> None:
    first = FirstRows()
    first.FEW_BYTES = few_bytes
    reasons = list(ChurnReason.objects.order_by("pk").values())
    assert reasons
    account = AccountFactory()
    ChurnReason.objects.filter(pk=reasons[0]["id"]).delete()
    ChurnReason.objects.filter(pk=reasons[1]["id"]).update(name="Something else")

    first.restore()

    assert list(ChurnReason.objects.order_by("pk").values()) == reasons
    assert not Account.objects.exists()
    # A number once given is not given again, as in use.
    assert AccountFactory().pk > account.pk
