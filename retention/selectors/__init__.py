"""Reads for pages and jobs, one module per family."""
