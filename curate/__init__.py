"""curate: teach a chat model new facts, change nothing else."""

__version__ = "0.1.0"
