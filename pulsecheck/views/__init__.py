"""Pages of the care loop."""
