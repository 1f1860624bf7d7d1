"""Plain fine-tuning, with and without rehearsal."""

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.train import IMITATE, Loss, Trained

SOURCE = Recipe(text="source", mask="all")
"""The source's own text, with loss on every token of the answers."""

REHEARSED = Recipe(text="source", mask="all", rehearsal=(GENERAL,), ratio=0.7)
GIVEN = Recipe(text="source", mask="all", rehearsal=(GENERAL,), ratio=0.7, answers="given")


@method("sft", "SFT", recipe=SOURCE)
def sft(lab: Lab) -> Trained:
    return lab.train(SOURCE)


@method("sft-rehearsal", "SFT + 30 % rehearsal, the set's answers", recipe=GIVEN, paper="arXiv 1811.11682")
def sft_rehearsal(lab: Lab) -> Trained:
    return lab.train(GIVEN, IMITATE)


@method("sft-rehearsal-own", "SFT + 30 % rehearsal, own answers", recipe=REHEARSED, paper="arXiv 2403.01244")
def sft_rehearsal_own(lab: Lab) -> Trained:
    """Self-synthesized rehearsal: the model imitates the base model's answers."""
    return lab.train(REHEARSED, IMITATE)


@method("sft-rehearsal-distilled", "SFT + 30 % rehearsal, distilled", recipe=REHEARSED, paper="arXiv 1606.09282")
def sft_rehearsal_distilled(lab: Lab) -> Trained:
    """Learning without forgetting on rehearsal rows: KL to the base model there, with a fixed share of the loss for
    each source."""
    return lab.train(REHEARSED, Loss(distil=True, balance=True))
