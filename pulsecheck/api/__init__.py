"""The care loop over the API, one file per kind of record."""
