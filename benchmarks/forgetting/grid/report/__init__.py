"""What the cells of the grid come to: a picture per setting and budget, and tables."""
