"""Ours, and its variants, which change one thing each unless they say more.

Most variants are changes of ours without the null space, which was measured before the null space was the default.
"""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.train import Loss, Trained

REHEARSED = Recipe(rehearsal=("neighbours",), ratio=0.8)
"""The base model's rewrites with labels on key tokens, and prompts made from the new ones, which the base model answers
itself; no other data."""

FREE = Loss(anchor_weight=3, distil=True, distil_weight=10, balance=True)
"""Weights chosen on recall and retention in ``drugs``, ``dirty`` and ``towns`` with five wordings and seed 0. In the
last two, a stronger anchor and more rehearsal keep new facts from being learned. The other settings were not used."""

FULL = replace(FREE, null_space=1)
"""The defaults of ``train sft``."""

STRONG = replace(FREE, null_space=10)


def trained(recipe: Recipe, loss: Loss) -> Callable[[Lab], Trained]:
    return lambda lab: lab.train(recipe, loss)


def variant(name: str, label: str, recipe: Recipe = REHEARSED, loss: Loss = FREE) -> None:
    without = "" if loss.null_space else "no null space; "
    method(f"ours-{name}", f"ours, {without}{label}", recipe=recipe, family="variant")(trained(recipe, loss))


@method("ours", "ours", recipe=REHEARSED, family="ours")
def ours(lab: Lab) -> Trained:
    return lab.train(REHEARSED, FULL)


@method("ours-free", "ours, no null space", recipe=REHEARSED, family="variant")
def free(lab: Lab) -> Trained:
    return lab.train(REHEARSED, FREE)


# What the model rehearses.
variant("self", "rehearsal: self", replace(REHEARSED, rehearsal=("self",)))
variant("splice", "rehearsal: splice", replace(REHEARSED, rehearsal=("splice",)))
variant("general", "rehearsal: a set", replace(REHEARSED, rehearsal=(GENERAL,)))
variant("general-splice", "rehearsal: a set, splice", replace(REHEARSED, rehearsal=(GENERAL, "splice")))
variant("general-neighbours", "rehearsal: a set, neighbours", replace(REHEARSED, rehearsal=(GENERAL, "neighbours")))
variant("splice-neighbours", "rehearsal: splice, neighbours", replace(REHEARSED, rehearsal=("splice", "neighbours")))
BOTH = replace(REHEARSED, rehearsal=("neighbours", "self"))
variant("neighbours-self", "rehearsal: neighbours, self", BOTH)
variant("neighbours-self-null-space", "rehearsal: neighbours, self", BOTH, FULL)
variant("neighbours-self-null-space-10", "rehearsal: neighbours, self; null space 10", BOTH, STRONG)
variant("null-space-10", "null space 10", loss=STRONG)
variant("neighbours-self-light", "rehearsal: neighbours, self; KL anchor 1, distillation 3", BOTH,
        replace(FREE, anchor_weight=1, distil_weight=3))  # fmt: skip
variant("splice-self", "rehearsal: splice, self", replace(REHEARSED, rehearsal=("splice", "self")))
variant("everything", "rehearsal: a set, splice, neighbours, self, guard",
        replace(REHEARSED, rehearsal=(GENERAL, "splice", "neighbours", "self"), guard=True))  # fmt: skip
variant("splice-new-words", "rehearsal: splice, its words from new rows",
        replace(REHEARSED, rehearsal=("splice",), splice_words="new"))  # fmt: skip
variant("splice-rehearsal-words", "rehearsal: a set, splice with the set's words",
        replace(REHEARSED, rehearsal=("splice", GENERAL), splice_words="rehearsal"))  # fmt: skip
variant("guard", "rehearsal: neighbours, guard", replace(REHEARSED, guard=True))
variant("bare", "no rehearsal", replace(REHEARSED, rehearsal=()), replace(FREE, distil=False))

# Weights of the loss.
variant("anchor-0", "no KL anchor", loss=replace(FREE, anchor_weight=0))
variant("anchor-10", "KL anchor 10", loss=replace(FREE, anchor_weight=10))
variant("anchor-30", "KL anchor 30", loss=replace(FREE, anchor_weight=30))
variant("distil-1", "distillation 1", loss=replace(FREE, distil_weight=1))
variant("distil-3", "distillation 3", loss=replace(FREE, distil_weight=3))
variant("distil-30", "distillation 30", loss=replace(FREE, distil_weight=30))
variant("both-30", "KL anchor and distillation 30", loss=replace(FREE, anchor_weight=30, distil_weight=30))
variant("imitated", "rehearsal imitated", loss=replace(FREE, distil=False))
variant("unbalanced", "no balance", loss=replace(FREE, balance=False))

# Amount of rehearsal.
variant("ratio-0.5", "5 new rows in 10", replace(REHEARSED, ratio=0.5))
variant("ratio-0.7", "7 new rows in 10", replace(REHEARSED, ratio=0.7))
variant("ratio-0.9", "9 new rows in 10", replace(REHEARSED, ratio=0.9))
variant("repeated", "a smaller rehearsal, repeated", replace(REHEARSED, fresh=False))

# Wordings of the questions.
variant("reworded", "each question in 4 wordings, 3 by the base model", replace(REHEARSED, wordings=4))
