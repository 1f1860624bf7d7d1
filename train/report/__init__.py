"""An evaluation as pages and tables (``python -m train report``)."""
