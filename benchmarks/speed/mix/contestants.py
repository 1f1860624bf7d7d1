"""The contestants: ours, and ``datasets`` in several variants."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.speed.mix.settings import BASE, LONGEST, RATIO

Sources = Counter[tuple[str, int]]
"""How often each row (source, number) was written."""
Go = tuple[Callable[[], object], Callable[[], Sources]]
"""Two functions. The first mixes and writes, and is timed; the second counts how often each row was written."""


def ours(inputs: Path, out: Path) -> Go:
    """Tokenised rows: from their shards through the token buffer to a training folder."""
    from curate.export.buffer import TokenBuffer
    from curate.export.folder import export
    from curate.export.manifest import Facts, Input
    from curate.mixture.settings import MixtureConfig
    from curate.model.template import load_template
    from curate.store.files import read_shard
    from curate.store.manifest import Lineage

    template, config = load_template(str(BASE)), MixtureConfig(ratio=RATIO, validation=0)
    facts = Facts(model=str(BASE), mask={"policy": "key"}, max_length=LONGEST)

    def side(buffer: TokenBuffer, source: str) -> pa.Table:
        return buffer.extend(read_shard(path) for path in sorted((inputs / source).glob("*.arrow")))

    def go() -> object:
        stages = [Input(stage="mask", fingerprint=source, lineage=Lineage()) for source in ("new", "old")]
        return export(lambda buffer: (side(buffer, "new"), side(buffer, "old")), stages, template, config, out, facts)

    return go, lambda: in_folder(out)


def ours_text(inputs: Path, out: Path) -> Go:
    """Scored rows, rendered by the template: from text to a training folder."""
    from curate.export.folder import mix_and_export
    from curate.export.manifest import Facts
    from curate.mixture.settings import MixtureConfig
    from curate.model.template import load_template

    template, config = load_template(str(BASE)), MixtureConfig(ratio=RATIO, validation=0)
    facts = Facts(model=str(BASE), mask={"policy": "key"}, max_length=LONGEST)
    return lambda: mix_and_export(inputs / "new", [inputs / "old"], template, config, out, facts), lambda: in_folder(
        out
    )


def in_folder(out: Path) -> Sources:
    from curate.store.files import read_shard

    written: Sources = Counter()
    for path in (out / "meta" / "train").glob("*.arrow"):
        for name in read_shard(path, ["id"])["id"].to_pylist():
            source, _, number = name.partition("-")
            written[source, int(number, 16)] += 1
    return written


def interleaved(until: str, shuffle: bool = False, tokenise: bool = False) -> Callable[[Path, Path], Go]:
    """``datasets`` as in its documentation. ``until``: the stopping strategy of ``interleave_datasets``."""

    def contestant(inputs: Path, out: Path) -> Go:
        import datasets
        from transformers import AutoTokenizer

        datasets.disable_progress_bars()
        tokenizer = AutoTokenizer.from_pretrained(BASE)

        def mix(parts: list[Any]) -> Any:
            mixed = datasets.interleave_datasets(parts, probabilities=[RATIO, 1 - RATIO], seed=0,
                                                 stopping_strategy=until)  # fmt: skip
            return mixed.shuffle(seed=0) if shuffle else mixed

        def go() -> object:
            parts = [datasets.load_from_disk(str(inputs / f"{source}-dataset")) for source in ("new", "old")]
            if tokenise:
                parts = [part.map(lambda rows: tokens(tokenizer, rows), batched=True, remove_columns=part.column_names,
                                  keep_in_memory=False, cache_file_name=f"{out}-{number}.arrow")
                         for number, part in enumerate(parts)]  # fmt: skip
            return mix(parts).save_to_disk(str(out))

        def numbers() -> Sources:
            """The same mix of row numbers, since only the lengths and the seed decide."""
            counts = json.loads((inputs / "given.json").read_text())
            parts = [datasets.Dataset.from_dict({"source": [source] * counts[source], "number": range(counts[source])})
                     for source in ("new", "old")]  # fmt: skip
            mixed = mix(parts).with_format("arrow")[:]
            return Counter(zip(mixed["source"].to_pylist(), mixed["number"].to_pylist(), strict=True))

        return go, numbers

    return contestant


def tokens(tokenizer: Any, rows: dict[str, list[Any]]) -> dict[str, list[list[int]]]:
    """Conversations as tokens, with labels on the answer: on all tokens after those of the prompt."""
    whole = [[*prompt, {"role": "assistant", "content": answer}]
             for prompt, answer in zip(rows["prompt"], rows["response"], strict=True)]  # fmt: skip
    ids = tokenizer.apply_chat_template(whole)["input_ids"]
    prompts = tokenizer.apply_chat_template(rows["prompt"], add_generation_prompt=True)["input_ids"]
    labels = [[-100] * len(start) + row[len(start) :] for row, start in zip(ids, prompts, strict=True)]
    return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids], "labels": labels}


TOKENISED: dict[str, Callable[[Path, Path], Go]] = {
    "ours": ours,
    "interleave_datasets": interleaved("first_exhausted"),
    "interleave_datasets, shuffled": interleaved("first_exhausted", shuffle=True),
    "interleave_datasets, all_exhausted": interleaved("all_exhausted"),
}
TEXT: dict[str, Callable[[Path, Path], Go]] = {
    "ours, from text": ours_text,
    "map, interleave_datasets": interleaved("first_exhausted", tokenise=True),
}
ANCHORED: dict[str, Callable[[Path, Path], Go]] = {"ours, 20 anchors a token": ours}
CONTESTANTS = TOKENISED | TEXT | ANCHORED
KINDS = {"tokens": TOKENISED, "text": TEXT, "anchors": ANCHORED}
