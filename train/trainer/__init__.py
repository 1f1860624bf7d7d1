"""TRL's trainer with these objectives, and which parameters train."""
