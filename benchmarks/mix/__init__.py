"""What a rehearsal sample holds."""
