"""How well masks find what a row teaches, by the world's own labels."""
