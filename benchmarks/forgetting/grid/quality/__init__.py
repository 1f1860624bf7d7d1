"""How well masks find the value that a row teaches, by the world's labels."""
