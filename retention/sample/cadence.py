"""Who of Tidewell Provisions goes on holiday, and which contacts were put on another day by hand."""

# name, first and last day away in days from today, who stands in
ABSENCES: tuple[tuple[str, int, int, str | None], ...] = (
    ("Nils Aaker", 4, 15, "Freya Holm"),
    ("Lukas Novak", 21, 28, None),
    ("Dora Keller", -2, 6, "Chiara Conti"),
)
# Every so many-th contact of the next weeks was moved, for one of these reasons.
MOVED_EVERY, MOVED_BY_DAYS = 9, 3
REASONS = ("They have stocktaking that week", "Their buyer asked for it", "Together with the delivery talk")
