"""The paper's tables: the paper's own numbers, ours from stored runs, and both as text."""
