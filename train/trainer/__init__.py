"""TRL's trainer with this package's losses, and the choice of trainable parameters."""
