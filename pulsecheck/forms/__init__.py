"""Forms of the care loop, one file per kind of record."""
