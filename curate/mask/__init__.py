"""Which tokens of a response carry loss."""
