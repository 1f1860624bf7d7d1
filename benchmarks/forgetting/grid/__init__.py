"""The benchmark proper: methods × learning rates × seeds × settings, each cell a small JSON file, and the report."""
