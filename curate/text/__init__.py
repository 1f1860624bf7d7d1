"""Rules that find the facts of a text in any language: words, quantities, names and negations."""
