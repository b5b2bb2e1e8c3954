"""How the embedded world's weights were made: one file a part, `hn shapes train` runs them in order."""
