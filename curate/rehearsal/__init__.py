"""Rehearsal rows, which preserve the model's earlier skills."""
