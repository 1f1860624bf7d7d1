"""Turn plain text into questions and answers: the base model asks about each passage and answers from the passage.

``split`` cuts documents, ``read`` writes the passages, ``ask`` generates questions and answers, ``questions`` and
``grounded`` filter them, ``load`` writes a dataset like that of a source of questions and answers.
"""

from curate.passages.load import PlainText, check_documents, estimate, load_passages
from curate.passages.settings import Plan

__all__ = ["PlainText", "Plan", "check_documents", "estimate", "load_passages"]
