"""Plain text to questions and answers: the base model asks what each passage answers, and answers from the passage.

``split`` cuts a document, ``read`` writes the passages, ``ask`` has the model write about them, ``questions`` and
``grounded`` say what of that is kept, ``load`` ends with a dataset like that of a source of questions and answers.
"""

from curate.passages.load import PlainText, check_documents, estimate, load_passages
from curate.passages.settings import Plan

__all__ = ["PlainText", "Plan", "check_documents", "estimate", "load_passages"]
