"""Rehearsal prompts that need no file: names that ``curate mix --rehearsal`` knows besides data cards.

Each maker gives prompts alone. The base model then answers them like those of any rehearsal set, and training distils
the answers, so a prompt need not make sense: it marks a place where the model has to stay as it is.
"""

from curate.made.guard import Guard
from curate.made.maker import Candidate, Maker, Order, Words
from curate.made.neighbours import Neighbours
from curate.made.sampled import Sampled
from curate.made.splice import Splice
from curate.made.write import write

__all__ = ["MAKERS", "Candidate", "Maker", "Order", "Words", "write"]

MAKERS: dict[str, type[Maker]] = {maker.name: maker for maker in (Splice, Neighbours, Sampled, Guard)}
"""By the name that ``--rehearsal`` takes. Those that cost the model's time come after those that do not."""
