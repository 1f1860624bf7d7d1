"""Datasets on disk: shards, stages, the runner, and advice on dropped rows."""
