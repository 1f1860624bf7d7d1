"""The methods. A method is a function of a ``Lab`` that returns a trained model; a new one goes into a file here."""

import importlib
import pkgutil

from benchmarks.forgetting.grid.lab import METHODS, Lab, Method, method

__all__ = ["METHODS", "OURS", "Lab", "Method", "method"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

OURS = "ours"
"""The method that has curate's defaults."""
