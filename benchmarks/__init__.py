"""Benchmarks: what this project measures about its own methods and its speed."""
