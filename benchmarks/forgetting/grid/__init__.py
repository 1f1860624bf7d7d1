"""The comparison of methods: cells (method, learning rate, seed, setting, budget), and the report on them."""
