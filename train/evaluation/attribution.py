"""Why a model forgot: lost items by topic, the training rows nearest to each, and the rows near to most items.

``train.evaluation.influence`` defines nearness. Row ids are those of the export's ``meta/``, which equal the ``id``
column of the build. Questions rephrased by ``curate build --wordings`` have ids of their own, "abc-w1" for a wording of
row "abc".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.model.engine import EngineConfig, EngineError
from curate.model.folder import locate_model, model_hash
from curate.model.template import Template, TemplateError, load_template
from train.config.sft import SftConfig
from train.data.batches import Task, assign, loss_groups
from train.data.compatibility import check_template, check_tokenizer, check_vocabulary
from train.data.folder import LABEL, DataError, Export, load_export
from train.evaluation.explanation import By, ComparisonExplanation, Explanation, Lost, Near, Suspect, Topic
from train.evaluation.influence import (
    ScoredTokens,
    answer_text,
    choose_rows,
    cluster,
    cosine,
    deviations,
    embedding,
    last_matrix,
    open_gradients,
    row_text,
    topic_words,
)
from train.evaluation.results import Comparison, EvaluateError, Flip, Results
from train.record import read_run

STANDS_OUT, OF_WORST = 25.0, 0.5
"""A suspect row has at least ``STANDS_OUT`` deviations and at least ``OF_WORST`` of the nearest row's similarity.
Measured on the tiny base: rows that contradict a fact have 39 deviations or more; without these rows, the nearest
others, which share a part of the wrong value, have up to 21. By embedding, both kinds have 3 to 6, so embeddings give
no suspects."""


@dataclass(frozen=True)
class Search:
    """Limits of the search. At most ``items`` lost items and ``rows`` training rows per comparison; the ``nearest``
    rows per item; ``by``: what is compared. ``seed``: of the random rows and the projection of gradients."""

    rows: int = 512
    items: int = 100
    nearest: int = 5
    by: By = "gradient"
    seed: int = 0


@dataclass(frozen=True)
class _Data:
    """The rows of a training folder that may have caused a loss."""

    template: Template
    task: Task
    rows: list[int]  # each id once, since copies train alike
    objective: str
    export: Export

    def tokens(self, row: int) -> np.ndarray:
        begin, end = self.task.split.offsets[row : row + 2]
        return np.asarray(self.task.split.input_ids[begin:end])


@dataclass(frozen=True)
class _Item:
    flip: Flip
    before: ScoredTokens
    after: ScoredTokens


def explain(
    results: Results, data: Path, model: Path | str, *, after: Path | None = None, search: Search | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Explanation:  # fmt: skip
    """Find the rows of ``data`` that caused the losses in ``results``; ``model``: the base model.

    ``after``: the trained model's folder. Its run.json gives the training settings, else the defaults of ``train sft``
    are used; of several comparisons, only the comparison of this model is explained. Raises ``EvaluateError``.
    """
    comparisons, search = _of_model(results, after), search or Search()
    try:
        training = _read(data, model, after)
        facts = {"by": search.by, "data": str(data), "rows": len(training.rows), "seed": search.seed}
        if not any(flip.lost for c in comparisons for flip in c.flips):
            blank = tuple(_blank(comparison) for comparison in comparisons)
            return Explanation(weight=None, comparisons=blank, **facts)
        if model_hash(EngineConfig(str(model))) != results.models[0].hash:
            say(f"the files of {model} differ from those of {results.models[0].name!r}, which was evaluated")
        searcher = _Searcher(training, _open(model), search)
        explained = tuple(searcher.explain(comparison, say) for comparison in comparisons)
    except (DataError, EngineError, TemplateError) as error:
        raise EvaluateError(str(error)) from error
    return Explanation(weight=searcher.weight_name, comparisons=explained, **facts)


def _of_model(results: Results, after: Path | None) -> tuple[Comparison, ...]:
    if after is None or len(results.comparisons) == 1:
        return results.comparisons
    names = {score.name for score in results.models if Path(score.path).resolve() == after.resolve()}
    comparisons = tuple(comparison for comparison in results.comparisons if comparison.after in names)
    if not comparisons:
        paths = ", ".join(score.path for score in results.models[1:])
        raise EvaluateError(f"{after}: no model that was evaluated lies there; they are {paths}")
    return comparisons


def _blank(comparison: Comparison) -> ComparisonExplanation:
    return ComparisonExplanation(
        before=comparison.before, after=comparison.after, lost=sum(flip.lost for flip in comparison.flips), explained=0,
        unreadable=0, compared=0, topics=(), items=(), suspects=(),
    )  # fmt: skip


def _read(data: Path, model: Path | str, after: Path | None) -> _Data:
    export = load_export(data)
    folder = str(locate_model(EngineConfig(str(model))))
    template = load_template(folder, arguments=export.manifest.template_args)
    check_tokenizer(export, str(model), template.tokenizer)
    check_template(export, str(model), template.tokenizer)
    config = _settings(export, after)
    split = export.splits["train"]
    task = assign(split, config, loss_groups(export, config))
    labelled = set(np.unique(split.row_of[(task.roles == LABEL) & (task.weights > 0)]).tolist())
    once = {split.ids[row]: row for row in sorted(labelled, reverse=True)}
    if not once:
        raise EvaluateError(f"{data}: no row trains a label, and rows distilled from the base cannot be the cause")
    return _Data(template, task, sorted(once.values()), config.objective, export)


def _settings(export: Export, after: Path | None) -> SftConfig:
    """The training settings, without anchors: KL to the base model has no gradient at the base model."""
    run = (read_run(after) if after else None) or {}
    stated, fingerprint = run.get("data_fingerprint"), export.fingerprint
    if stated and stated != fingerprint:
        raise EvaluateError(
            f"{after} was trained on other data (fingerprint {stated}) than {export.folder} ({fingerprint}); give the "
            f"folder that it was trained on, {(run.get('config') or {}).get('data', 'as its run.json says')}"
        )
    names = ("objective", "distil", "max_length", "forgetting")
    stated_settings = {name: value for name, value in (run.get("config") or {}).items() if name in names}
    config = SftConfig.model_validate(stated_settings).resolved()
    return config.model_copy(update={"anchor": "none", "balance": False})


def _open(model: Path | str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    folder = locate_model(EngineConfig(str(model)))
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise EvaluateError(f"{model}: its weights cannot be opened: {error}") from error
    return loaded.cuda() if torch.cuda.is_available() else loaded


class _Searcher:
    """An open model, and the rows' embeddings and gradients computed so far, since comparisons share rows."""

    def __init__(self, data: _Data, model: Any, search: Search):
        check_vocabulary(data.export, "the model", int(model.config.get_text_config().vocab_size))
        self.data, self.model, self.search = data, model, search
        self.weight_name: str | None = None
        self.texts: dict[
            int, tuple[ScoredTokens, np.ndarray, np.ndarray]
        ] = {}  # row → tokens, embedding, compared vector
        if search.by == "gradient":
            try:
                self.weight_name, weight = last_matrix(model)
            except ValueError as error:
                raise EvaluateError(f"{error}; compare by embedding") from error
            self.gradients = open_gradients(model, weight, search.seed, data.objective)

    def explain(self, comparison: Comparison, say: Callable[[str], None]) -> ComparisonExplanation:
        lost = [flip for flip in comparison.flips if flip.lost]
        chosen = sorted(np.random.default_rng(self.search.seed).permutation(len(lost))[: self.search.items])
        items = [item for index in chosen if (item := self._item(lost[index])) is not None]
        blank = _blank(comparison).model_copy(update={"unreadable": len(chosen) - len(items)})
        if not items:
            return blank
        tokens = [self.data.tokens(row) for row in self.data.rows]
        words = [np.concatenate([item.before.ids, item.after.ids]) for item in items]
        picked, background = choose_rows(tokens, words, self.search.rows, self.search.seed)
        compared = [self.data.rows[index] for index in picked]
        say(f"{comparison.after}: {len(items)} of {len(lost)} lost items against {len(compared)} of {len(tokens)} rows")
        row_vectors = [self._row(row) for row in compared]
        item_embeddings = np.array([embedding(self.model, item.before) for item in items])
        row_embeddings = np.array([each for _, each, _ in row_vectors])
        # The part that all prompts share, mainly the chat template.
        center = np.concatenate([item_embeddings, row_embeddings]).mean(0)
        if self.search.by == "gradient":
            changes = np.array([self.gradients.of_change(item.before, item.after) for item in items])
            similar = cosine(changes, np.array([each for _, _, each in row_vectors]))
        else:
            similar = cosine(item_embeddings - center, row_embeddings - center)
        near = self._near(compared, similar, background)
        return blank.model_copy(update={
            "explained": len(items), "compared": len(compared),
            "topics": _topics([item.flip for item in items], item_embeddings - center, comparison.flips),
            "items": tuple(_lost(item.flip, each) for item, each in zip(items, near, strict=True)),
            "suspects": _suspects([item.flip for item in items], near) if self.search.by == "gradient" else (),
        })  # fmt: skip

    def _item(self, flip: Flip) -> _Item | None:
        prompt = [{"role": role, "content": content} for role, content in flip.prompt]
        if not prompt or not flip.before.strip():
            return None
        try:
            return _Item(flip, *(answer_text(self.data.template, prompt, text) for text in (flip.before, flip.after)))
        except TemplateError:
            return None

    def _row(self, row: int) -> tuple[ScoredTokens, np.ndarray, np.ndarray]:
        if row not in self.texts:
            text = row_text(self.data.task, row)
            where = embedding(self.model, text)
            self.texts[row] = (text, where, self.gradients.of_row(text) if self.search.by == "gradient" else where)
        return self.texts[row]

    def _near(self, compared: Sequence[int], similar: np.ndarray, background: np.ndarray) -> list[tuple[Near, ...]]:
        """The rows nearest to each item; by gradient, those with the most negative similarity."""
        harm = -similar if self.search.by == "gradient" else similar
        far = deviations(harm, background)
        order = np.argsort(-harm, axis=1, kind="stable")[:, : self.search.nearest]
        return [
            tuple(self._shown(compared[j], float(similar[i, j]), float(far[i, j])) for j in line)
            for i, line in enumerate(order)
        ]

    def _shown(self, row: int, similarity: float, far: float) -> Near:
        start, split, decode = self._row(row)[0].start, self.data.task.split, self.data.template.decode
        tokens = self.data.tokens(row).tolist()
        return Near(
            id=split.ids[row], source=str(split.sources[row]), rehearsal=bool(split.distil[row]),
            similarity=round(similarity, 4), deviations=round(far, 2),
            prompt=decode(tokens[:start]), answer=decode(tokens[start:]),
        )  # fmt: skip


def _lost(flip: Flip, near: tuple[Near, ...]) -> Lost:
    return Lost(
        suite=flip.suite, id=flip.id, prompt=flip.prompt[-1][1], before=flip.before, after=flip.after, nearest=near
    )


def _topics(flips: Sequence[Flip], embeddings: np.ndarray, all_flips: Sequence[Flip]) -> tuple[Topic, ...]:
    """Topics of the lost items, suite by suite, the largest topic first."""
    prompts = [flip.prompt[-1][1] for flip in all_flips if flip.prompt]
    topics = []
    for suite in dict.fromkeys(flip.suite for flip in flips):
        mine = [index for index, flip in enumerate(flips) if flip.suite == suite]
        for group in cluster(embeddings[mine]):
            members = [flips[mine[index]] for index in group]
            words = topic_words([flip.prompt[-1][1] for flip in members], prompts)
            topics.append(Topic(suite=suite, words=words, items=tuple(flip.id for flip in members)))
    return tuple(topics)


def _suspects(flips: Sequence[Flip], near: Sequence[tuple[Near, ...]]) -> tuple[Suspect, ...]:
    pairs_by_row: dict[str, list[tuple[Flip, Near]]] = {}
    for flip, line in zip(flips, near, strict=True):
        for each in line:
            if is_suspect(each, line[0]):
                pairs_by_row.setdefault(each.id, []).append((flip, each))
    suspects = [
        Suspect(
            id=name, source=pairs[0][1].source, rehearsal=pairs[0][1].rehearsal,
            items=tuple(f"{flip.suite}/{flip.id}" for flip, _ in pairs),
            deviations=round(sum(each.deviations for _, each in pairs) / len(pairs), 2),
            prompt=pairs[0][1].prompt, answer=pairs[0][1].answer,
        )
        for name, pairs in pairs_by_row.items()
    ]  # fmt: skip
    return tuple(sorted(suspects, key=lambda suspect: (-len(suspect.items), -suspect.deviations, suspect.id)))


def is_suspect(near: Near, worst: Near) -> bool:
    """Whether a row probably caused a loss, by gradients, where a negative similarity is harm. ``worst``: the nearest
    row."""
    return near.deviations >= STANDS_OUT and near.similarity < 0 and near.similarity <= OF_WORST * worst.similarity
