"""Find the training rows that caused a lost answer, and those that are merely similar to its question.

A step of gradient descent on a row z moves the weights by −η ∇L(z), and so the loss L' of anything else by about
−η ∇L(z)·∇L' (TracIn, Pruthi et al. 2020, arXiv 2002.08484, eq. 1). **A negative product means that training the row
raises that loss: rows with the most negative one did it.** Three choices, each measured on thirty contradicted facts
among 300 rows of the tiny base (benchmarks/forgetting/base), whether the contradicting row came first of all rows:

- L' is NLL(answer before) − NLL(answer after), not the first alone: 100 % against 87 %. What a model is sure of has
  next to no gradient, so the first alone is mostly about how the answer opens (cf. arXiv 2303.14186, section 3.1).
- Cosine, not the product itself (Hanawa et al. 2021, arXiv 2006.04528): long gradients are near to everything.
- The last matrix of the last block, in Llama the down-projection of its MLP: 100 %, as for each other block, all
  MLPs' together, or with the norm; and the backward pass goes through one block alone.

The gradient G [out, in] of that matrix is projected to A G Bᵀ, A and B random [64, out] and [64, in], which keeps inner
products in expectation, and costs memory by neither model nor data (LoGra, arXiv 2405.13954).
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
"""Rows of each projection: 64 × 64 = 4,096 numbers for a gradient."""


class ScoredTokens(NamedTuple):
    """Tokens, and which of them are scored. The prompt is what stands before the first of them, or before ``start``."""

    ids: torch.Tensor  # int64 [t]
    places: torch.Tensor  # int64 [n]: positions, at least 1
    weights: torch.Tensor  # float32 [n]
    start: int  # where the answer begins


def row_text(task: Task, row: int) -> ScoredTokens:
    """A training row with the labels and weights that it trains with."""
    begin, end = (int(edge) for edge in task.split.offsets[row : row + 2])
    places = np.flatnonzero(task.roles[begin:end] == LABEL)
    start = int(task.split.anchor_start[row]) or int(places[0])
    ids = task.split.input_ids[begin : begin + int(task.needed[row]) + 1].astype(np.int64)
    weights = task.weights[begin + places]
    return ScoredTokens(torch.from_numpy(ids), torch.from_numpy(places), torch.from_numpy(weights), start)


def answer_text(template: "Template", prompt: Sequence[Message], answer: str) -> ScoredTokens:
    """An answer behind its prompt and an empty thought where the model has thoughts, every token of the answer scored
    alike, the end of turn too. Raises ``TemplateError``."""
    rendered = template.render(prompt, answer.strip())
    ids = torch.tensor(rendered.ids)
    start = rendered.prompt_length + rendered.thought_length
    places = torch.arange(start, len(ids))
    return ScoredTokens(ids, places, torch.ones(len(places)), start)


def loss(model: Any, text: ScoredTokens, objective: str = "nll") -> torch.Tensor:
    """Mean over the scored tokens of weight times NLL, in nats; ``objective`` as ``train sft`` has it."""
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
    """The last matrix of the last block, with its name. A block: of the longest list of modules.

    Raises ``ValueError`` for a model that has none.
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
    """Gradients of one matrix of a model, projected. The other weights are held, which is what makes them cheap."""

    model: Any
    weight: torch.nn.Parameter
    left: torch.Tensor  # float32 [SIDE, out]
    right: torch.Tensor  # float32 [SIDE, in]
    objective: str = "nll"

    def of_row(self, text: ScoredTokens) -> np.ndarray:
        """∇L of a training row: float32 [dims]."""
        return self._gradient(loss(self.model, text, self.objective))

    def of_change(self, before: ScoredTokens, after: ScoredTokens) -> np.ndarray:
        """∇(L(before) − L(after)): down it, the old answer gains on the new one."""
        return np.asarray(self._gradient(loss(self.model, before)) - self._gradient(loss(self.model, after)))

    def _gradient(self, value: torch.Tensor) -> np.ndarray:
        (gradient,) = torch.autograd.grad(value, [self.weight])
        projected: np.ndarray = (self.left @ gradient @ self.right.T).flatten().cpu().numpy()
        return projected


def open_gradients(model: Any, weight: torch.nn.Parameter, seed: int, objective: str = "nll") -> Gradients:
    model.requires_grad_(False)
    weight.requires_grad_(True)
    random = torch.Generator().manual_seed(seed)
    left, right = (_projection(size, random).to(weight) for size in weight.shape)
    return Gradients(model, weight, left, right, objective)


def _projection(size: int, random: torch.Generator) -> torch.Tensor:
    """[side, size] with E[PᵀP] = 1; the identity where there is nothing to save."""
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

    By the median and the median distance from it (times 1.4826, a normal distribution's), which the few rows that are
    looked for cannot shift.

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
    """Which rows to look at, at most ``most``: half drawn by the seed, half those that share the rarest tokens with an
    item, since a sample alone would mostly miss the one row of thousands that did it.

    rows, items: their tokens. Returns int64 indices, the drawn ones first, and how many of them are drawn, as indices
    into the first: the background against which a row stands out.
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
    """Cosine of items and rows as bags of distinct tokens weighted by rarity (IDF), but for the items' own length:
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
"""English words of no topic; in another language their weight alone keeps common words out."""


def cluster(vectors: np.ndarray) -> list[list[int]]:
    """Groups of vectors [n, dims], largest first: the two nearest groups are joined, by the mean cosine between
    their members, until none are nearer than ALIKE and there are MOST at most.

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
    """The words of ``prompts`` with the highest share of prompts times inverse document frequency in ``everything``;
    those of a single prompt only where no two share one.

    >>> topic_words(["Dose of Velox?", "Usual dose?"], ["Dose of Velox?", "Usual dose?", "Mayor of Ely?", "Sum?"])
    ('dose',)
    """
    here, known = (Counter(word for text in texts for word in _words(text)) for texts in (prompts, everything))
    shared = {word for word, count in here.items() if count > 1} or set(here)
    weight = {word: here[word] / len(prompts) * math.log((1 + len(everything)) / known[word]) for word in shared}
    return tuple(sorted(weight, key=lambda word: (-weight[word], word))[:WORDS])


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.lower())) - STOP
