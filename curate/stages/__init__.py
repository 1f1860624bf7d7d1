"""Stages: frozen configuration that opens a worker. They know neither each other nor the runner."""
