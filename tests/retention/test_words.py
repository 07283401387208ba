import pytest

from retention.templatetags.mainstay import GAP, percent


@pytest.mark.parametrize(
    ("share", "decimals", "words"),
    [
        (0.714, 0, "71 %"),
        (1.0, 0, "100 %"),
        (0, 0, "0 %"),
        (0.9968, 0, "> 99 %"),
        (0.002, 0, "< 1 %"),
        (0.9968, 1, "99.7 %"),
        (0.99999, 1, "> 99.9 %"),
        (None, 0, "–"),
    ],
)
def test_nearly_all_is_not_all(share: float | None, decimals: int, words: str) -> None:
    assert percent(share, decimals).replace(GAP, " ") == words
