"""`hn shapes evaluate`: how good the embedded world's judge, generator and rewards are."""
