"""``curate build``: a source in, a built dataset out."""
