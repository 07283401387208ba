"""What `manage.py benchmark NAME` measures: one module per name, see docs/benchmarks.md."""
