"""Semantic duplicates: rows with a high cosine of their embeddings that state the same facts.

An embedding is the mean of a model's last hidden states over a text, scaled to length 1 (Reimers and Gurevych,
"Sentence-BERT", 2019, section 3). Embeddings separate topics better than facts: rows about two drugs may be as near as
two wordings of one fact. So only rows with the same numbers, names and number of negations are compared, which also
leaves few pairs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.dedup.near.find import NearDuplicates
from curate.dedup.near.keep import rank
from curate.dedup.near.settings import Keep
from curate.store.files import batched
from curate.text.quantity import quantities
from curate.text.words import names, negations

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""Maps n texts to vectors of length 1: float32 [n, d]."""

TOKENS = 512  # a text is cut to so many tokens
AT_ONCE = 256  # texts embedded at once
BLOCK = 2048  # rows compared at once with those that stay


def refine(
    near: NearDuplicates, texts: Iterable[str], embed: Embed, alike: float, keep: Keep, facts: bool, lang: str
) -> NearDuplicates:
    """``near`` plus the semantic duplicates among the rows that stayed; of two, the row with the better rank stays.

    ``texts``: the texts of all rows, in order, read once. ``alike``: least cosine. ``facts``: compare only rows with
    the same ``fact_key``. Memory: a vector for each row that stayed.
    """
    stayed = np.flatnonzero(near.kept)
    vectors, keys, lengths = _read(texts, near.kept, embed, facts, lang)
    sets, fixed = near.set_of[stayed], near.fixed[stayed]
    order = np.argsort(rank(keep, sets, fixed, lengths, [near.ids[row] for row in stayed.tolist()]))
    of, similarity = assign_duplicates(vectors[order], keys[order], fixed[order], alike)
    goes = np.flatnonzero(of >= 0)
    whole, similar, meant = near.of.copy(), near.similarity.copy(), near.meant.copy()
    rows = stayed[order]
    whole[rows[goes]], similar[rows[goes]], meant[rows[goes]] = rows[of[goes]], similarity[goes], True
    # Where a row's replacement is itself replaced now, the row takes the new replacement and its similarity.
    moved = np.flatnonzero((whole >= 0) & (whole[whole] >= 0))
    meant[moved], similar[moved] = True, similar[whole[moved]]
    whole[moved] = whole[whole[moved]]
    return replace(near, of=whole, similarity=similar, meant=meant)


def assign_duplicates(
    vectors: Vectors, keys: npt.NDArray[np.uint64], fixed: npt.NDArray[np.bool_], alike: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each row (sorted by rank, best first) the index of the row with the same key that replaces it, or −1 (int64
    [n]), and the cosine of the two (float32 [n]). ``fixed`` rows stay."""
    of, similarity = np.full(len(keys), -1, np.int64), np.zeros(len(keys), np.float32)
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    for group in np.split(order, edges):
        if len(group) > 1:
            of[group], similarity[group] = _group(vectors, group, fixed, alike)
    return of, similarity


def _group(
    vectors: Vectors, group: npt.NDArray[np.int64], fixed: npt.NDArray[np.bool_], alike: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    of, similarity = np.full(len(group), -1, np.int64), np.zeros(len(group), np.float32)
    stays: list[int] = []
    for start in range(0, len(group), BLOCK):
        block = group[start : start + BLOCK]
        best, nearest = _nearest(vectors[block], vectors, stays)
        inside = vectors[block] @ vectors[block].T
        new: list[int] = []  # places in the block of rows that stay
        for place, row in enumerate(block.tolist()):
            if new and (cosines := inside[place, new]).max() > best[place]:
                best[place], nearest[place] = cosines.max(), block[new[int(cosines.argmax())]]
            if best[place] >= alike and not fixed[row]:
                of[start + place], similarity[start + place] = nearest[place], best[place]
            else:
                new.append(place)
        stays += [int(block[place]) for place in new]
    return of, similarity


def _nearest(block: Vectors, vectors: Vectors, stays: Sequence[int]) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """For each row of a block the cosine of the nearest row in ``stays``, and the index of that row."""
    best, nearest = np.full(len(block), -2, np.float32), np.full(len(block), -1, np.int64)
    for start in range(0, len(stays), BLOCK * 8):
        part = np.array(stays[start : start + BLOCK * 8])
        cosines = block @ vectors[part].T
        at = cosines.argmax(1)
        value = cosines[np.arange(len(block)), at]
        nearest, best = np.where(value > best, part[at], nearest), np.maximum(best, value)
    return best, nearest


def _read(
    texts: Iterable[str], stay: npt.NDArray[np.bool_], embed: Embed, facts: bool, lang: str
) -> tuple[Vectors, npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Vectors, fact keys and lengths (characters) of the rows that ``stay``."""
    vectors, keys, lengths = [], [], []
    for batch in batched((text for text, yes in zip(texts, stay.tolist(), strict=True) if yes), AT_ONCE):
        vectors.append(embed(batch))
        keys += [fact_key(text, lang) if facts else 0 for text in batch]
        lengths += list(map(len, batch))
    whole = np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)
    return whole, np.array(keys, np.uint64), np.array(lengths, np.int64)


def fact_key(text: str, lang: str = "en") -> int:
    """A 64-bit hash of the text's numbers with units, its names, and its number of negations.

    >>> fact_key("The dose is 37 mg.") == fact_key("Take 37 mg.") != fact_key("Take 73 mg.")
    True
    """
    amounts = sorted({(str(q.written), q.unit) for q in quantities(text, lang)})
    called = sorted({text[n.start : n.end].casefold() for n in names(text, lang)})
    statement = repr((amounts, called, len(negations(text, lang))))
    return int.from_bytes(blake2b(statement.encode(), digest_size=8).digest(), "little")


def embedder(model: str, trust_remote_code: bool = False) -> Embed:
    """A function that embeds texts by a model's mean last hidden state. ``model``: a folder or a hub id. Raises
    ``EngineError`` where it cannot be loaded."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from curate.model.engine import EngineConfig, EngineError
    from curate.model.folder import locate_model

    folder = locate_model(EngineConfig(model))
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        network: Any = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EngineError(f"{model}: transformers cannot load this model: {error}") from error
    network = network.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token

    def embed(texts: Sequence[str]) -> Vectors:
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # similar lengths need little padding
        vectors = np.zeros((len(texts), network.config.hidden_size), np.float32)
        for start in range(0, len(order), 32):
            places = order[start : start + 32]
            encoded = tokenizer([texts[at] or " " for at in places], padding=True, truncation=True, max_length=TOKENS,
                              return_tensors="pt").to(network.device)  # fmt: skip
            with torch.inference_mode():
                states = network(encoded.input_ids, attention_mask=encoded.attention_mask).last_hidden_state.float()
            mask = encoded.attention_mask[..., None]
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors[places] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return vectors

    return embed
