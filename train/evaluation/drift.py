"""Drift of a model's next-token distributions from the base model's: KL(p0‖p) and perplexity, on any text.

Drift is measured on text outside the training data, and shows changes before any answer changes. The KL per token is
exact over the whole vocabulary. Both models are in memory at once, each with the hidden states of one batch. Of the
logits, only ``train.objective.head.MAX_LOGITS`` values per model are in memory at a time, never [all positions, vocab].
So memory beside the models stays below 1 GiB for any number of tokens (measured on a CPU with 152,000 entries: 0.4 GiB
in float32, 0.6 GiB in bfloat16).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from curate.model.engine import EngineConfig
from curate.model.folder import model_hash
from curate.store.disk import fingerprint
from train.evaluation.drift_checks import refuse_passages, refuse_unlike_models
from train.evaluation.drift_summary import summarise
from train.evaluation.drift_texts import Passage
from train.evaluation.results import Drift, EvaluateError, PassageDrift, write_text

if TYPE_CHECKING:
    import torch

Say = Callable[[str], None]
Pair = tuple[Any, Any]  # the models before and after training


@dataclass(frozen=True)
class Loading:
    """How both models are loaded. ``dtype`` "auto": both in the base model's dtype, since another dtype would count as
    drift; ``device`` None: a GPU if there is one."""

    dtype: str = "auto"
    device: str | None = None
    trust_remote_code: bool = False


def measure(
    before: Path,
    after: Path,
    passages: Sequence[Passage],
    *,
    loading: Loading,
    batch_tokens: int = 16_384,
    out: Path | None = None,
    seed: int = 0,
    say: Say = lambda line: None,
) -> Drift:
    """Run both models on every passage: each token's loss under both, and the KL between their distributions.

    The logits are each model's own; softmax, loss and KL are computed in float32. ``batch_tokens``: padded tokens per
    forward pass. With ``out``, each batch is written to ``out/drift-<fingerprint>.jsonl`` once it is measured, and a
    later call with the same models, passages and dtype resumes from this file. Raises ``EvaluateError``, or
    ``EngineError`` for a folder without a model.
    """
    names = model_hash(EngineConfig(str(before))), model_hash(EngineConfig(str(after)))
    refuse_unlike_models(before, after, loading.trust_remote_code)
    refuse_passages(before, after, passages, loading.trust_remote_code)
    path = None if out is None else out / f"drift-{_key(names, passages, loading.dtype)}.jsonl"
    measured = _kept(path)
    pending = [batch for batch in batches(passages, batch_tokens) if not all(p.id in measured for p in batch)]
    if measured:
        say(f"drift: {len(measured)} of {len(passages)} passages are measured already")
    if pending:
        say(f"drift: loading {before} and {after}")
        pair = load_pair(before, after, loading)
        for batch in pending:
            fresh = measure_batch(pair, batch)
            _append(path, fresh)
            measured |= {passage.id: passage for passage in fresh}
    drift = summarise(names, loading.dtype, [measured[passage.id] for passage in passages], seed)
    for group in drift.groups:
        say(f"drift: {group.group}: KL {group.kl:.4g} nats a token, perplexity {group.perplexity_before:.4g} before, "
            f"{group.perplexity_after:.4g} after")  # fmt: skip
    return drift


def load_pair(before: Path, after: Path, loading: Loading) -> Pair:
    """Both models, in one dtype, on one device: a GPU if there is one. Raises ``EvaluateError``."""
    import torch
    from transformers import AutoModelForCausalLM

    place = loading.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def load(folder: Path, dtype: "str | torch.dtype") -> Any:
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=loading.trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise EvaluateError(f"{folder}: transformers cannot load this model: {error}") from error
        return model.to(place).eval()

    base = load(before, loading.dtype)
    return base, load(after, base.dtype)


def batches(passages: Sequence[Passage], budget: int) -> Iterator[list[Passage]]:
    """Batches of passages of similar length, longest first, so that a lack of memory shows at once.

    ``budget``: padded tokens per batch. Batches depend on the passages alone, and only complete batches are written:
    the rows of a batch affect rounding, so a resumed run gives the same numbers as an uninterrupted run.
    """
    batch: list[Passage] = []
    for passage in sorted(passages, key=lambda p: (-len(p.ids), p.id)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > budget:
            yield batch
            batch = []
        batch.append(passage)
    if batch:
        yield batch


def measure_batch(pair: Pair, batch: Sequence[Passage]) -> list[PassageDrift]:
    """The drift of each passage of a batch. Raises ``EvaluateError`` for a loss or KL that is not finite."""
    import torch

    from train.objective.head import logits_of, scored_hidden, slices

    inputs, index, targets = _padded(batch, pair[0].device)
    with torch.inference_mode():
        hidden = [scored_hidden(model, model, inputs, index) for model in pair]
        vocab = pair[0].get_output_embeddings().weight.shape[0]
        rows = [
            token_drift(logits_of(pair[0], hidden[0][part]), logits_of(pair[1], hidden[1][part]), targets[part])
            for part in slices(len(index), vocab) or [slice(None)]
        ]
    each = torch.split(torch.cat(rows), [len(passage.ids) - passage.start for passage in batch])
    return [_passage(passage, tokens) for passage, tokens in zip(batch, each, strict=True)]


def token_drift(before: "torch.Tensor", after: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Loss before, loss after, KL(before‖after), and whether the likeliest token changed: float64 [n, 4] on the CPU, so
    that sums are exact. ``before``, ``after``: logits [n, vocab]; ``targets``: next tokens [n]. Computed in float32, in
    which a KL below 1e-6 is rounding."""
    import torch
    from torch.nn.functional import kl_div

    old, new = torch.log_softmax(before.float(), dim=-1), torch.log_softmax(after.float(), dim=-1)
    changed = (before.argmax(dim=-1) != after.argmax(dim=-1)).float()
    losses = [-logs.gather(-1, targets[:, None])[:, 0] for logs in (old, new)]
    kl = kl_div(new, old, reduction="none", log_target=True).sum(dim=-1).clamp(min=0)  # torch's order: KL(old‖new)
    return torch.stack([*losses, kl, changed], dim=-1).cpu().double()


def _padded(
    batch: Sequence[Passage], device: "torch.device"
) -> tuple[dict[str, "torch.Tensor"], "torch.Tensor", "torch.Tensor"]:
    """Inputs padded at the right, which causal models ignore; the flattened positions that predict the measured tokens,
    passage after passage; and the measured tokens."""
    import torch

    width = max(len(passage.ids) for passage in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, passage in enumerate(batch):
        ids[row, : len(passage.ids)] = torch.tensor(passage.ids)
        mask[row, : len(passage.ids)] = 1
    index = [row * width + at for row, p in enumerate(batch) for at in range(p.start - 1, len(p.ids) - 1)]
    targets = [token for passage in batch for token in passage.ids[passage.start :]]
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
    return inputs, torch.tensor(index, device=device), torch.tensor(targets, device=device)


def _passage(passage: Passage, tokens: "torch.Tensor") -> PassageDrift:
    nll_before, nll_after, kl, changed = tokens.sum(dim=0).tolist()
    if not math.isfinite(nll_before + nll_after + kl):
        raise EvaluateError(f"passage {passage.id!r}: loss {nll_before:g} before, {nll_after:g} after, KL {kl:g}: not "
                            "finite, so drift cannot be measured; if a model overflows in float16, use bfloat16 "
                            "or float32; a model that overflows in float32 is broken")  # fmt: skip
    return PassageDrift(
        id=passage.id, group=passage.group, tokens=len(tokens), nll_before=nll_before, nll_after=nll_after,
        kl=kl, changed=round(changed),
    )  # fmt: skip


def _key(models: Sequence[str], passages: Sequence[Passage], dtype: str) -> str:
    return fingerprint([list(models), [[p.id, p.group, p.ids, p.start] for p in passages], dtype])


def _kept(path: Path | None) -> dict[str, PassageDrift]:
    """What a killed run measured, up to the first incomplete line; the rest is removed from the file."""
    if path is None or not path.is_file():
        return {}
    measured: dict[str, PassageDrift] = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            passage = PassageDrift.model_validate_json(line)
        except ValidationError:
            break
        measured[passage.id] = passage
    write_text(path, _lines(measured.values()))
    return measured


def _append(path: Path | None, fresh: Sequence[PassageDrift]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_lines(fresh))


def _lines(passages: Iterable[PassageDrift]) -> str:
    return "".join(passage.model_dump_json() + "\n" for passage in passages)
