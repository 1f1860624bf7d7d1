"""Rehearsal prompts that need no file: names that ``curate mix --rehearsal`` knows besides data cards.

Each maker gives prompts alone. The base model then answers them like those of any rehearsal set, and training distils
the answers, so a prompt need not make sense: it marks a place where the model has to stay as it is.
"""

from curate.rehearsal.generators.generator import Candidate, Maker, Order
from curate.rehearsal.generators.neighbours import Neighbours
from curate.rehearsal.generators.safety import Guard
from curate.rehearsal.generators.sampled import Sampled
from curate.rehearsal.generators.splice import Splice
from curate.rehearsal.generators.write import write
from curate.rehearsal.settings import Words

__all__ = ["MAKERS", "Candidate", "Maker", "Order", "Words", "write"]

MAKERS: dict[str, type[Maker]] = {maker.name: maker for maker in (Splice, Neighbours, Sampled, Guard)}
"""By the name that ``--rehearsal`` takes. Those that cost the model's time come after those that do not."""
