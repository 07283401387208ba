"""The retention figures as plain formulas: arrays in, figures out. No Django, no clock."""
