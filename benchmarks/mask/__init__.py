"""How well masks find the facts, compared with labels that people made."""
