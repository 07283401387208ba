"""The one door for records: parse -> staging -> upsert -> report, whatever the source.

Pure modules (no Django): errors, schema, values, styles, headers, sniff, parse.
Database step: load (run an import), merge (SQL of one run), undo.
"""
