"""Many rows on their way in: lists, CSV and NDJSON, checked as they come, all of them or none."""
