"""Before and after: the same questions to two or more models, item by item (``python -m train evaluate``)."""
