"""A made-up company to look around in: plain Python, the same for the same seed and day."""
