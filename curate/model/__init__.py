"""The base model: engines, chat template, prompts, log-probabilities."""
