"""API v1 of staff and records, and what every resource of the API shares: sign-in, paging, errors, repeated calls."""
