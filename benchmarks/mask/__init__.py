"""How well a mask finds the facts, against labels made by hand."""
