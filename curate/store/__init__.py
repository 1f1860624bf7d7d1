"""Folders of shards: files, stages, the runner, and what a person can do about dropped rows."""
