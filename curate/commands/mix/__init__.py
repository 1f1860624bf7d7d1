"""``curate mix``: a build and rehearsal, as training shards."""
