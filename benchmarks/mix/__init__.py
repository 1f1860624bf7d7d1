"""What a rehearsal sample covers."""
