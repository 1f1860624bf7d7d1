"""How many rows of real sets each rule of cleaning marks, and how many of its marks are right."""
