"""The report on the grid's cells: tables, and a picture for each setting and budget."""
