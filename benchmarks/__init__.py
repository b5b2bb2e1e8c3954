"""The published benchmarks, one package each: prompts, judges and aggregation."""
