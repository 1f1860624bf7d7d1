"""Text as facts, by rule: words, quantities, names, negations, in any language that has them."""
