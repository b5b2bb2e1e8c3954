"""Rewriters: what puts a prompt into other words, knowing how well the words so far scored."""
