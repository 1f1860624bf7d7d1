"""The forgetting benchmark: made-up worlds, and a tiny chat model that was trained on their facts. What the model knows
is known exactly, so forgetting can be measured."""
