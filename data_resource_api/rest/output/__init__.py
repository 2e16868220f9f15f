"""Rows on their way out in another form than the JSON of an operation: CSV and NDJSON, streamed."""
