"""``python -m benchmarks.speed.mix``: rows mixed 70 : 30 and written, ours beside ``datasets``, in one run.

Two questions. *Tokenised rows*: both read rows that are tokens already and write a training folder; ours through
``curate.export.folder.export``, theirs by ``interleave_datasets(probabilities=[0.7, 0.3])`` and ``save_to_disk``.
*Text* (``--text-rows``): both begin with messages. Ours is ``curate.export.folder.mix_and_export``, which renders each
row with the template and finds the tokens that its marks cover; theirs is ``map`` with ``apply_chat_template`` before
the rest.

What each does. Ours shuffles all rows, holds the ratio, and writes what ``datasets`` writes and a second table beside
it (ids, marks, a weight per token); it copies what is fit for training to scratch files, takes a checksum of every file
and waits until the disk has it. Theirs keeps each source's order and writes ``input_ids``, ``attention_mask`` and
``labels``, without checksums or waiting; one of its contestants shuffles as well. Neither has anchors, but for rows of
ours that are measured apart. Each runs in a process of its own, one after another. Peak memory is ``VmHWM``, which
counts pages of mapped files that the system may take back; memory of the process's own (``RssAnon``) is sampled.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

BASE = Path(__file__).parents[1] / "forgetting" / "base"
RATIO = 0.7
QUESTION, ANSWER = (30, 0.4), (95, 0.5)
"""Median words of a question and of an answer, and sigma of their logarithm: about 150 tokens a row in the template."""
DISTINCT, SHARD = 2000, 1024
"""Texts that are made; rows repeat them under ids and questions of their own. Rows of an input shard."""
KEY, TOP = 0.15, 20
"""Share of a new answer's words that are marked; log-probabilities kept per token where anchors are asked for."""
LONGEST = 4096

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    rows: Annotated[int, typer.Option(help="Tokenised rows that are mixed; 0: none.")] = 1_000_000,
    text_rows: Annotated[int, typer.Option(help="Rows that are mixed from text; 0: none.")] = 20_000,
    anchor_rows: Annotated[int, typer.Option(help="Rows mixed with 20 anchors a token, ours alone; 0: none.")] = 20_000,
    spare: Annotated[float, typer.Option(help="Rehearsal rows there are, per row that the ratio asks for.")] = 4 / 3,
    rounds: Annotated[int, typer.Option(help="How often each runs.")] = 1,
    scratch: Annotated[Path | None, typer.Option(help="Folder to work in; some 11 kB a row are needed.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Contestants; default: all.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, too.")] = None,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time, memory, and the ratio that came out."""
    if one:
        print(json.dumps(measure(**json.loads(one))))
        return
    jobs = [(name, count) for names, count in ((TOKENISED, rows), (TEXT, text_rows), (ANCHORED, anchor_rows))
            for name in names if count and (not only or name in only)]  # fmt: skip
    found = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for turn in range(rounds):
            for name, count in jobs:
                found.append(compare(Path(folder), name, count, spare))
                print(f"round {turn + 1} of {rounds}, {count:,} rows, {line(found[-1])}", file=sys.stderr)
    print(table(found))
    if out:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def line(run: dict[str, Any]) -> str:
    peak, own = run["peak"] / 2**30, run["own"] / 2**30
    return f"{run['name']}: {run['seconds']:.1f} s, {run['cpu']:.1f} s of processor, peak {peak:.2f} GiB, own {own:.2f}"


def compare(scratch: Path, name: str, rows: int, spare: float) -> dict[str, Any]:
    """One contestant's measurements, from a process of its own; its output is deleted afterwards."""
    kind = next(kind for kind, names in KINDS.items() if name in names)
    inputs = scratch / f"{kind}-{rows}"
    if not inputs.exists():
        run(make=kind, folder=str(inputs), rows=rows, spare=spare)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        found = run(name=name, inputs=str(inputs), out=f"{folder}/out")
    return {"name": name, "rows": rows, **found}


def run(**job: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.speed.mix", "--one", json.dumps(job)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def measure(
    make: str = "", folder: str = "", rows: int = 0, spare: float = 1.0, name: str = "", inputs: str = "", out: str = ""
) -> dict[str, Any]:
    """Makes inputs, or has a contestant mix them. Seconds from opening the inputs to the folder in its place, imports
    and the tokenizer's loading left out; ``cpu``: of the processor, all threads. Bytes: ``ready`` before the first row,
    ``peak`` with mapped files, ``own`` without, ``written`` to ``out``."""
    if make:
        MAKERS[make](Path(folder), rows, spare)
        return {}
    go, numbers = CONTESTANTS[name](Path(inputs), Path(out))
    ready = memory("VmRSS")
    with Watch() as watch:
        began, worked = time.perf_counter(), time.process_time()
        go()
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    written = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    given = json.loads((Path(inputs) / "given.json").read_text())
    bytes_ = {"ready": ready, "peak": memory("VmHWM"), "own": watch.own, "written": written}
    return {"seconds": seconds, "cpu": cpu, **bytes_, **outcome(numbers(), given)}


def outcome(sources: "Sources", given: dict[str, int]) -> dict[str, int]:
    """``sources``: how often (source, row) was written. ``lost``: new rows that were not; ``repeated``: copies beyond
    the first."""
    new = sum(count for (source, _), count in sources.items() if source == "new")
    distinct = sum(source == "new" for source, _ in sources)
    total = sources.total()
    return {"new": new, "total": total, "lost": given["new"] - distinct, "repeated": total - len(sources)}


class Watch:
    """Samples the memory that is the process's own, 20 times a second."""

    def __enter__(self) -> "Watch":
        self.own, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        over = False
        while not over:
            self.own = max(self.own, memory("RssAnon"))
            over = self._done.wait(0.05)


def memory(entry: str) -> int:
    """Bytes, of ``/proc/self/status``; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{entry}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {entry}")


# ---- inputs


def amounts(rows: int, spare: float) -> dict[str, int]:
    """Rows of either source: the new ones of the mix, and more rehearsal than it needs."""
    return {"new": round(rows * RATIO), "old": round((rows - round(rows * RATIO)) * spare)}


def make_tokens(folder: Path, rows: int, spare: float, top: int = 0) -> None:
    """The same rows twice: as ``curate.export.rows.ROWS``, and as a dataset with the three columns of a trainer."""
    import datasets

    from curate.export.rows import token_rows
    from curate.model.template import load_template
    from curate.schema import SCORED, TOKENS
    from curate.store.files import read_shard, write_shard

    datasets.disable_progress_bars()
    template, random = load_template(str(BASE)), np.random.default_rng(0)
    for source, count in amounts(rows, spare).items():
        distinct = list(texts(template, source, DISTINCT, top))
        made = token_rows(pa.Table.from_pylist(distinct, SCORED), template, LONGEST)
        for number, start in enumerate(range(0, count, SHARD)):
            part = made.take(random.integers(len(distinct), size=min(SHARD, count - start)))
            numbers = range(start, start + part.num_rows)
            part = replaced(part, id=[f"{source}-{i:012x}" for i in numbers], cluster=[f"{i:032x}" for i in numbers])
            write_shard(folder / source / f"{number:05d}.arrow", part)
        parts = [read_shard(path, TOKENS.names) for path in sorted((folder / source).glob("*.arrow"))]
        if not top:
            datasets.Dataset(pa.concat_tables(parts)).save_to_disk(str(folder / f"{source}-dataset"))
    describe(folder, rows, spare)


def make_text(folder: Path, rows: int, spare: float) -> None:
    """The same rows twice: as dataset folders of scored rows, and as a dataset of messages."""
    import datasets

    from curate.model.template import load_template
    from curate.schema import EXAMPLE, SCORED
    from curate.store.files import read_shard, write_shard
    from curate.store.manifest import Lineage, Manifest

    datasets.disable_progress_bars()
    template, random = load_template(str(BASE)), np.random.default_rng(0)
    for source, count in amounts(rows, spare).items():
        made = pa.Table.from_pylist(list(texts(template, source, DISTINCT)), SCORED)
        receipts = []
        for number, start in enumerate(range(0, count, SHARD)):
            part = made.take(random.integers(made.num_rows, size=min(SHARD, count - start)))
            numbers = range(start, start + part.num_rows)
            asked = [[{"role": "user", "content": f"{i}: {prompt[0]['content']}"}]
                     for i, prompt in zip(numbers, part["prompt"].to_pylist(), strict=True)]  # fmt: skip
            part = replaced(part, id=[f"{source}-{i:012x}" for i in numbers], prompt=asked)
            receipts.append(
                write_shard(folder / source / f"data-{number:05d}.arrow", part) | {"added": 0, "seconds": 0}
            )
        Manifest.of(Lineage().then("mask", 1, {"policy": "key"}), receipts).write(folder / source)
        shards = sorted((folder / source).glob("*.arrow"))
        columns = pa.concat_tables([read_shard(path, ("prompt", "response")) for path in shards])
        assert columns.schema.field("prompt").type == EXAMPLE.field("prompt").type
        datasets.Dataset(columns).save_to_disk(str(folder / f"{source}-dataset"))
    describe(folder, rows, spare)


def describe(folder: Path, rows: int, spare: float) -> None:
    (folder / "given.json").write_text(json.dumps(amounts(rows, spare)))


def replaced(table: pa.Table, **columns: list[Any]) -> pa.Table:
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    return table


def texts(template: Any, source: str, count: int, top: int = 0) -> Iterator[dict[str, Any]]:
    """Scored rows of random words that are tokens; ``top`` anchors for every token of an answer."""
    random = np.random.default_rng(len(source) + ord(source[0]))
    known = sorted(token[1:] for token in template.tokenizer.get_vocab() if token[:1] == "Ġ" and token[1:].isalpha())
    for number in range(count):
        asked, answer = ([str(w) for w in random.choice(known, max(3, round(float(random.lognormal(np.log(m), s)))))]
                         for m, s in (QUESTION, ANSWER))  # fmt: skip
        response = " ".join(answer)
        rendered = template.render([{"role": "user", "content": " ".join(asked)}], response)
        shape = (len(rendered.response_ids), top)
        logprobs = np.sort(random.standard_normal(shape).astype(np.float32))[:, ::-1] - 4
        yield {
            "id": f"{source}-{number}", "source": source, "origin": "rewritten" if source == "new" else "base",
            "prompt": [{"role": "user", "content": " ".join(asked)}], "response": response, "finished": True,
            "spans": list(marks(answer, random)) if source == "new" else [],
            "token_ids": rendered.response_ids, "token_starts": rendered.starts, "token_ends": rendered.ends,
            "top_ids": random.integers(0, len(template.tokenizer), shape).tolist(), "top_logprobs": logprobs.tolist(),
        }  # fmt: skip


def marks(words: list[str], random: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Spans over about a seventh of the words, the first always."""
    at = 0
    for index, word in enumerate(words):
        if not index or random.random() < KEY:
            yield {"start": at, "end": at + len(word), "weight": 1.0, "kind": "word"}
        at += len(word) + 1


# ---- contestants

Sources = Counter[tuple[str, int]]
Go = tuple[Callable[[], object], Callable[[], Sources]]
"""Mixes and writes, which is timed; then tells how often each row (source, number) was written."""


def ours(inputs: Path, out: Path) -> Go:
    """Tokenised rows from their shards, through the pool to the folder."""
    from curate.export.buffer import Pool
    from curate.export.folder import export
    from curate.export.manifest import Facts, Input
    from curate.mixture.settings import MixtureConfig
    from curate.model.template import load_template
    from curate.store.files import read_shard
    from curate.store.manifest import Lineage

    template, config = load_template(str(BASE)), MixtureConfig(ratio=RATIO, validation=0)
    facts = Facts(model=str(BASE), mask={"policy": "key"}, max_length=LONGEST)

    def side(pool: Pool, source: str) -> pa.Table:
        return pool.extend(read_shard(path) for path in sorted((inputs / source).glob("*.arrow")))

    def go() -> object:
        given = [Input(stage="mask", fingerprint=source, lineage=Lineage()) for source in ("new", "old")]
        return export(lambda pool: (side(pool, "new"), side(pool, "old")), given, template, config, out, facts)

    return go, lambda: in_folder(out)


def ours_text(inputs: Path, out: Path) -> Go:
    """Scored rows, rendered by the template, to the folder."""
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

    found: Sources = Counter()
    for path in (out / "meta" / "train").glob("*.arrow"):
        for name in read_shard(path, ["id"])["id"].to_pylist():
            source, _, number = name.partition("-")
            found[source, int(number, 16)] += 1
    return found


def interleaved(until: str, shuffle: bool = False, tokenise: bool = False) -> Callable[[Path, Path], Go]:
    """``datasets`` as its documentation has it; ``until``: its stopping strategy."""

    def contestant(inputs: Path, out: Path) -> Go:
        import datasets
        from transformers import AutoTokenizer

        datasets.disable_progress_bars()
        tokenizer = AutoTokenizer.from_pretrained(BASE)

        def mix(parts: list[Any]) -> Any:
            found = datasets.interleave_datasets(parts, probabilities=[RATIO, 1 - RATIO], seed=0,
                                                 stopping_strategy=until)  # fmt: skip
            return found.shuffle(seed=0) if shuffle else found

        def go() -> object:
            parts = [datasets.load_from_disk(str(inputs / f"{source}-dataset")) for source in ("new", "old")]
            if tokenise:
                parts = [part.map(lambda rows: tokens(tokenizer, rows), batched=True, remove_columns=part.column_names,
                                  keep_in_memory=False, cache_file_name=f"{out}-{number}.arrow")
                         for number, part in enumerate(parts)]  # fmt: skip
            return mix(parts).save_to_disk(str(out))

        def numbers() -> Sources:
            """The same mix of row numbers: lengths and seed alone decide."""
            given = json.loads((inputs / "given.json").read_text())
            parts = [datasets.Dataset.from_dict({"source": [source] * given[source], "number": range(given[source])})
                     for source in ("new", "old")]  # fmt: skip
            mixed = mix(parts).with_format("arrow")[:]
            return Counter(zip(mixed["source"].to_pylist(), mixed["number"].to_pylist(), strict=True))

        return go, numbers

    return contestant


def tokens(tokenizer: Any, rows: dict[str, list[Any]]) -> dict[str, list[list[int]]]:
    """Whole conversations, with loss on the answer: what is after the tokens of the prompt."""
    whole = [[*prompt, {"role": "assistant", "content": answer}]
             for prompt, answer in zip(rows["prompt"], rows["response"], strict=True)]  # fmt: skip
    ids = tokenizer.apply_chat_template(whole)["input_ids"]
    asked = tokenizer.apply_chat_template(rows["prompt"], add_generation_prompt=True)["input_ids"]
    labels = [[-100] * len(start) + row[len(start) :] for row, start in zip(ids, asked, strict=True)]
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
MAKERS: dict[str, Callable[[Path, int, float], None]] = {
    "tokens": make_tokens,
    "text": make_text,
    "anchors": lambda folder, rows, spare: make_tokens(folder, rows, spare, TOP),
}


def table(found: list[dict[str, Any]]) -> str:
    """Medians of the rounds, and the time's ratio to ours on the same rows."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for run in found:
        groups.setdefault((run["rows"], run["name"]), []).append(run)
    head = (
        "| rows | contestant | s | to ours | CPU s | peak GiB | its own | GiB written | new of all | lost | repeated |"
    )
    lines = [head, "| --: | --- |" + " --: |" * 9]
    for (rows, name), runs in groups.items():
        first = next(iter(next(names for names in KINDS.values() if name in names)))
        seconds, cpu, peak, own = (median(run[key] for run in runs) for key in ("seconds", "cpu", "peak", "own"))
        base = groups.get((rows, first))
        ratio = f"{seconds / median(run['seconds'] for run in base):.2f}" if base else "–"
        one = runs[0]  # the same in every round
        lines.append(
            f"| {rows:,} | {name} | {seconds:.1f} | {ratio} | {cpu:.1f} | {peak / 2**30:.2f} | {own / 2**30:.2f} | "
            f"{one['written'] / 2**30:.2f} | {one['new'] / one['total']:.5f} | {one['lost']:,} | {one['repeated']:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app()
