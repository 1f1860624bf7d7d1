"""Benchmarks: what the product is measured on."""
