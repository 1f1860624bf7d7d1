"""Rivals that train on the source's own text and weight its tokens or rows."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.forgetting.grid.data import Recipe
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.train import Change, Trained
from curate.mask.thresholds import Thresholds
from train.data.batches import Task
from train.objective.loss import likelihood, normalised_entropy

FAMILIAR = Recipe(text="source", mask="low-perplexity")


@method("stm", "selective token masking", recipe=FAMILIAR, paper="arXiv 2501.14315")
def stm(lab: Lab) -> Trained:
    """Loss on the tokens that the base model finds familiar: PPL(y_t) = 1 / p0(y_t | x, y_<t) <= 2.5.

    The threshold is the paper's, and tokens are masked one by one, the end of turn included. curate's mask
    ``low-perplexity`` marks whole words, with unfamiliar tokens in them; these tokens are removed again here.
    """
    return lab.train(FAMILIAR, change=Change(rows=_of_scores(lab, FAMILIAR, familiar)))


@method("dft", "dynamic fine-tuning", recipe=SOURCE, paper="arXiv 2508.05629")
def dft(lab: Lab) -> Trained:
    """L = - sum_t sg(p(y_t)) log p(y_t) with sg a stop-gradient and p the model in training."""
    return lab.train(SOURCE, change=Change(tokens=lambda logits, batch: likelihood(logits, batch["ids"][:, 0])))


@method("eaft", "entropy-adaptive fine-tuning", recipe=SOURCE, paper="arXiv 2601.02151")
def eaft(lab: Lab) -> Trained:
    """L = - sum_t H_t log p(y_t) with H_t the entropy of the model in training over its 20 likeliest tokens, divided by
    ln 20, without gradient. As in the authors' code, the 20 probabilities are normalised to a distribution."""
    return lab.train(SOURCE, change=Change(tokens=lambda logits, batch: normalised_entropy(logits)))


@method("flow", "FLOW: easy rows weigh more", recipe=FAMILIAR, paper="arXiv 2502.02797")
def flow(lab: Lab) -> Trained:
    """w_i = exp(-l_i / tau) with l_i the base model's mean NLL of row i and tau the median of l over the rows.

    As in the authors' code for language, a row has one weight, and the mean over tokens is not changed. Training uses
    every token of the source; ``recipe`` above has the cost of preparation, one closed-book scoring pass.
    """
    return lab.train(SOURCE, change=Change(rows=_of_scores(lab, SOURCE, easy)))


def familiar(task: Task, scores: np.ndarray) -> np.ndarray:
    """``task.weights``, set to 0 where the base model's log-probability is below -ln 2.5. ``scores``: [tokens]."""
    return np.where(scores >= Thresholds().normal, task.weights, 0).astype(np.float32)


def easy(task: Task, scores: np.ndarray) -> np.ndarray:
    """``task.weights`` times the row's weight, which comes from the mean score of the row's labelled tokens.
    ``scores``: [tokens]."""
    row, counts = task.split.row_of, task.weights * (task.roles > 0)
    loss = -np.bincount(row, counts * scores, len(task.split)) / np.bincount(row, counts, len(task.split)).clip(1)
    chosen = loss[task.rows]
    return np.asarray(task.weights * np.exp(-loss / np.median(chosen))[row], np.float32)


def _of_scores(
    lab: Lab, recipe: Recipe, weigh: Callable[[Task, np.ndarray], np.ndarray]
) -> Callable[[Task], np.ndarray]:
    lab.data(recipe)  # makes the build, which has the scores
    built = lab.place.table(recipe, ["id", "logp_closed"])
    known = dict(zip(built["id"].to_pylist(), built["logp_closed"].to_pylist(), strict=True))
    return lambda task: weigh(task, scores_of(task, known))


def scores_of(task: Task, known: Mapping[str, list[float]]) -> np.ndarray:
    """log p0 of each token of a split, float32 [tokens], 0 on prompts. ``known``: scores of the response tokens by row
    id. Raises ValueError where a row has not one score for each response token."""
    split = task.split
    weights = np.zeros(len(split.input_ids), np.float32)
    for row, name in enumerate(split.ids):
        place = weights[split.offsets[row] + split.anchor_start[row] : split.offsets[row + 1]]
        if len(place) != len(known[name]):
            raise ValueError(f"row {name}: {len(known[name])} scores for {len(place)} response tokens; build it again")
        place[:] = known[name]
    return weights
