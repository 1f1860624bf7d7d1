"""Do other trainers train on what we export? Each from its own package, in an environment of its own."""
