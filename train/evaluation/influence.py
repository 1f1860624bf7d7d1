"""Find the training rows that caused a lost answer, and rows that are merely similar to its question.

A gradient step on a row z moves the weights by −η ∇L(z), and so changes any other loss L' by about −η ∇L(z)·∇L'
(TracIn, Pruthi et al. 2020, arXiv 2002.08484, eq. 1). **A negative product means that training on the row raises L':
the rows with the most negative product caused the loss.** Three choices, each measured on thirty contradicted facts
among 300 rows of the tiny base (benchmarks/forgetting/base), by how often the contradicting row ranked first:

- L' is NLL(answer before) − NLL(answer after), not the first term alone: 100 % against 87 %. An answer of which a model
  is sure has almost no gradient, so the first term alone mainly depends on how the answer opens (cf. arXiv 2303.14186,
  section 3.1).
- Cosine, not the product itself (Hanawa et al. 2021, arXiv 2006.04528): long gradients have large products with
  everything.
- The last matrix of the last block, in Llama the down-projection of its MLP: 100 %, as for each other block, for all
  MLPs together, and with the norm; and the backward pass runs through one block only.

The gradient G [out, in] of that matrix is projected to A G Bᵀ, A and B random [64, out] and [64, in]. Inner products
are preserved in expectation, and memory grows with neither model nor data (LoGra, arXiv 2405.13954).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from curate.schema import Message
from train.data.batches import Task
from train.data.folder import LABEL
from train.objective.head import scored_logits
from train.objective.loss import divergence, likelihood, normalised_entropy

if TYPE_CHECKING:
    from curate.model.template import Template

SIDE = 64
"""Rows of each projection: a gradient becomes 64 × 64 = 4,096 numbers."""


class ScoredTokens(NamedTuple):
    """Tokens, and the positions that are scored. The prompt is ``ids[:start]``."""

    ids: torch.Tensor  # int64 [t]
    places: torch.Tensor  # int64 [n]: positions, at least 1
    weights: torch.Tensor  # float32 [n]
    start: int  # position of the answer's first token


def row_text(task: Task, row: int) -> ScoredTokens:
    """A training row with the labels and weights of its training."""
    begin, end = (int(edge) for edge in task.split.offsets[row : row + 2])
    places = np.flatnonzero(task.roles[begin:end] == LABEL)
    start = int(task.split.anchor_start[row]) or int(places[0])
    ids = task.split.input_ids[begin : begin + int(task.needed[row]) + 1].astype(np.int64)
    weights = task.weights[begin + places]
    return ScoredTokens(torch.from_numpy(ids), torch.from_numpy(places), torch.from_numpy(weights), start)


def answer_text(template: "Template", prompt: Sequence[Message], answer: str) -> ScoredTokens:
    """An answer after its prompt and, if the model thinks, an empty thought; all tokens of the answer and the end of
    turn weigh 1. Raises ``TemplateError``."""
    rendered = template.render(prompt, answer.strip())
    ids = torch.tensor(rendered.ids)
    start = rendered.prompt_length + rendered.thought_length
    places = torch.arange(start, len(ids))
    return ScoredTokens(ids, places, torch.ones(len(places)), start)


def loss(model: Any, text: ScoredTokens, objective: str = "nll") -> torch.Tensor:
    """Mean over the scored tokens of weight times NLL, in nats; ``objective`` as in ``train sft``."""
    ids, places = text.ids[None].to(model.device), text.places.to(model.device)
    logits = scored_logits(model, model, {"input_ids": ids[:, :-1]}, places - 1)
    targets = ids[0, places][:, None]
    weights = text.weights.to(model.device)
    with torch.no_grad():
        if objective == "dft":
            weights = weights * likelihood(logits, targets[:, 0])
        elif objective == "eaft":
            weights = weights * normalised_entropy(logits)
    return (weights * divergence(logits, targets, torch.zeros_like(targets, dtype=torch.float32))).mean()


def last_matrix(model: Any) -> tuple[str, torch.nn.Parameter]:
    """Name and weight of the last matrix of the last block. Blocks are the items of the model's longest list of
    modules.

    Raises ``ValueError`` for a model without such a matrix.
    """
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    blocks = max(lists, key=len, default=torch.nn.ModuleList())
    inside = {id(weight) for weight in (blocks[-1].parameters() if len(blocks) else ())}
    matrices = [(name, w) for name, w in model.named_parameters() if id(w) in inside and w.ndim == 2]
    if not matrices:
        raise ValueError("this model has no block with a matrix in it, so no gradient can be taken")
    return matrices[-1]


@dataclass(frozen=True)
class Gradients:
    """Projected gradients of one matrix of a model. All other weights are frozen, which makes the gradients cheap."""

    model: Any
    weight: torch.nn.Parameter
    left: torch.Tensor  # float32 [SIDE, out]
    right: torch.Tensor  # float32 [SIDE, in]
    objective: str = "nll"

    def of_row(self, text: ScoredTokens) -> np.ndarray:
        """∇L of a training row: float32 [dims]."""
        return self._gradient(loss(self.model, text, self.objective))

    def of_change(self, before: ScoredTokens, after: ScoredTokens) -> np.ndarray:
        """∇(L(before) − L(after)): float32 [dims]. A step against this gradient makes the old answer likelier relative
        to the new one."""
        return np.asarray(self._gradient(loss(self.model, before)) - self._gradient(loss(self.model, after)))

    def _gradient(self, value: torch.Tensor) -> np.ndarray:
        (gradient,) = torch.autograd.grad(value, [self.weight])
        projected: np.ndarray = (self.left @ gradient @ self.right.T).flatten().cpu().numpy()
        return projected


def open_gradients(model: Any, weight: torch.nn.Parameter, seed: int, objective: str = "nll") -> Gradients:
    """Gradients of ``weight``: freezes the model's other weights, and draws the projections by the seed."""
    model.requires_grad_(False)
    weight.requires_grad_(True)
    random = torch.Generator().manual_seed(seed)
    left, right = (_projection(size, random).to(weight) for size in weight.shape)
    return Gradients(model, weight, left, right, objective)


def _projection(size: int, random: torch.Generator) -> torch.Tensor:
    """Random projection [SIDE, size] with E[PᵀP] = 1; the identity if ``size`` is at most SIDE."""
    return torch.eye(size) if size <= SIDE else torch.randn(SIDE, size, generator=random) / SIDE**0.5


def embedding(model: Any, text: ScoredTokens) -> np.ndarray:
    """The mean last hidden state over the prompt: float32 [hidden]."""
    with torch.no_grad():
        output = model.get_decoder()(text.ids[None, : text.start].to(model.device), use_cache=False)
    return np.asarray(output.last_hidden_state[0].float().mean(0).cpu().numpy())


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Float32 [l, r] of [l, dims] and [r, dims]; 0 where a vector is zero.

    >>> cosine(np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[-1.0, 0.0]])).tolist()
    [[-1.0], [0.0]]
    """
    return np.asarray(unit(left) @ unit(right).T)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each vector divided by its length."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30))


def deviations(harm: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How far each row stands out from the rows in ``background``, item by item, in standard deviations: [items, rows].

    Computed from the median and the median distance from the median (times 1.4826, as for a normal distribution), which
    the few rows that stand out cannot shift.

    >>> deviations(np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 20.0]]), np.arange(5)).round(1).tolist()
    [[-1.3, -0.7, 0.0, 0.7, 1.3, 12.1]]
    """
    background_harm = harm[:, background]
    middle = np.median(background_harm, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(background_harm - middle), axis=1, keepdims=True)
    return np.asarray((harm - middle) / np.maximum(spread, 1e-6))


def choose_rows(
    rows: Sequence[np.ndarray], items: Sequence[np.ndarray], most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose at most ``most`` rows to compare: half drawn by the seed, half sharing the rarest tokens with an item,
    since a random sample would mostly miss the one row of thousands that caused a loss.

    rows, items: their tokens. Returns int64 indices of rows, the drawn ones first, and the positions of the drawn ones
    in these indices: the background for ``deviations``.
    """
    drawn = np.random.default_rng(seed).permutation(len(rows))
    if len(rows) <= most:
        return np.arange(len(rows)), np.arange(len(rows))
    drawn = drawn[: most - most // 2]
    shared = _shared(rows, items)
    shared[:, drawn] = -1
    best = np.argsort(-shared, axis=1, kind="stable")[:, : most // 2]
    alike = list(dict.fromkeys(best.T.flatten().tolist()))[: most // 2]  # each item's best, then each one's second …
    return np.concatenate([drawn, np.array(alike, np.int64)]), np.arange(len(drawn))


def _shared(rows: Sequence[np.ndarray], items: Sequence[np.ndarray]) -> np.ndarray:
    """Cosine of items and rows as bags of distinct tokens weighted by rarity (IDF), not divided by the items' length:
    float32 [items, rows]."""
    distinct = [np.unique(row) for row in rows]
    tokens = np.concatenate(distinct)
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in distinct])
    size = 1 + max(int(part.max(initial=0)) for part in (tokens, *items))
    rarity = np.log((1 + len(rows)) / (1 + np.bincount(tokens, minlength=size))) ** 2
    length = np.sqrt(np.bincount(owner, rarity[tokens], minlength=len(rows))) + 1e-9
    cosines = np.empty((len(items), len(rows)), np.float32)
    for line, item in zip(cosines, items, strict=True):
        there = np.zeros(size)
        there[item] = rarity[item]
        line[:] = np.bincount(owner, there[tokens], minlength=len(rows)) / length
    return cosines


# ---- topics

ALIKE, MOST, WORDS = 0.3, 8, 5

STOP = frozenset(
    re.findall(
        r"\w+",
        "about and any are answer ask been but can could did does for from get give had has have her him his "
        "how into its just know let like make many may me more much must name need not now one only other our "
        "out please say should some than that the their them then there these they this those use used was "
        "were what when where which who whom whose why will with would you your ",
    )
)
"""English stop words. In other languages, only the weight of rare words keeps common words out."""


def cluster(vectors: np.ndarray) -> list[list[int]]:
    """Average-linkage clusters of vectors [n, dims], largest first: the two nearest groups by mean cosine are joined
    until no two are nearer than ALIKE and at most MOST are left.

    >>> cluster(np.array([[1.0, 0.1], [-1.0, 0.0], [1.0, 0.0]]))
    [[0, 2], [1]]
    """
    groups = [[index] for index in range(len(vectors))]
    sums = unit(vectors)
    while len(groups) > 1:
        sizes = np.array([len(group) for group in groups])
        near = sums @ sums.T / np.outer(sizes, sizes)
        near[np.tril_indices(len(groups))] = -np.inf
        left, right = (int(index) for index in np.unravel_index(near.argmax(), near.shape))
        if near[left, right] < ALIKE and len(groups) <= MOST:
            break
        groups[left] += groups.pop(right)
        sums[left] += sums[right]
        sums = np.delete(sums, right, axis=0)
    return sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group))


def topic_words(prompts: Sequence[str], everything: Sequence[str]) -> tuple[str, ...]:
    """The WORDS words of ``prompts`` with the highest share of prompts times inverse document frequency in
    ``everything``; words of a single prompt only if no word is shared.

    >>> topic_words(["Dose of Velox?", "Usual dose?"], ["Dose of Velox?", "Usual dose?", "Mayor of Ely?", "Sum?"])
    ('dose',)
    """
    here, known = (Counter(word for text in texts for word in _words(text)) for texts in (prompts, everything))
    shared = {word for word, count in here.items() if count > 1} or set(here)
    weight = {word: here[word] / len(prompts) * math.log((1 + len(everything)) / known[word]) for word in shared}
    return tuple(sorted(weight, key=lambda word: (-weight[word], word))[:WORDS])


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.lower())) - STOP
