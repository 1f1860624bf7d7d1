"""What each command does: settings, steps, and the lines for a person."""
