"""Settings of the commands, and the flags made from them."""
