"""Which bytes move from which tile to which, and when."""
