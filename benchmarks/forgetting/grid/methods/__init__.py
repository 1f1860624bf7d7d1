"""The methods: each a function of a ``Lab`` that returns a trained model. To add one, write it in a file here."""

import importlib
import pkgutil

from benchmarks.forgetting.grid.lab import METHODS, Lab, Method, method

__all__ = ["METHODS", "OURS", "Lab", "Method", "method"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

OURS = "ours"
"""The method that our defaults are."""
