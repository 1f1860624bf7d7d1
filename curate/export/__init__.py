"""Training shards, their card, and what is needed to check them."""
