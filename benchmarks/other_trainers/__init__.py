"""Whether other trainers train on exported folders. Each trainer is installed in an environment of its own."""
