"""Commands whose flags stand for more than one settings model."""
