"""A run from plan to records: noise, batching, storing, resuming, timing, statistics."""
