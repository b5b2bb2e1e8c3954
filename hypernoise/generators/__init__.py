"""Generators: one file a family of step-distilled text-to-image models."""
