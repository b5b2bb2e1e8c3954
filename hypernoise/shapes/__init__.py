"""The embedded world: drawn shapes, a tiny generator and reward trained on them, and a judge."""
