"""The Regenerate stage: the base model writes each response itself, checked against the reference.

First a draft closed book; if the draft already states the reference, the row is known. Else several rewrites with the
reference in view; if none states a value whole, further rewrites that are given the value. A faithful rewrite without
oddities is taken, the likeliest first; a rewrite with an oddity only if no attempt gives another. Else the row keeps
the source's wording, or is dropped (S3FT, arXiv 2502.08130: own, then paraphrase, then gold). If the only problem
of a rewrite is a pair of words in another pair's place, more drafts decide: a pair that is in every draft is the
model's way of putting the answer, not part of the fact.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa

from curate.model.base import Base
from curate.model.engine import Sampling, TokenScores
from curate.model.prompts import in_view
from curate.model.scoring import behind, render
from curate.model.template import Rendered
from curate.model.thought import UNFINISHED, Reply, Thoughts
from curate.rewrite.alternatives import alternatives
from curate.rewrite.candidates import LOOKED, departures, glued, likeliest_place, missing_values, sayable
from curate.rewrite.ranking import ranks
from curate.rewrite.round_trip import RoundTrip, lost_words, stray_words
from curate.rewrite.settings import Fallback, Mode
from curate.rewrite.state import RewriteState, with_columns
from curate.schema import Message
from curate.store.stage import Worker
from curate.text.fidelity import Problem, check, framed, same_facts, states
from curate.text.questions import question_of
from curate.text.words import stems

TIMES, LEAST = 3, 64
"""Token limit of an answer: this multiple of its reference's tokens, and at least this many."""
WARMTH, WARMING = 0.5, 0.3
"""Temperature of the sampled rewrites, and its increase with each further round of the prompts."""
SAMPLES = 3  # sampled rewrites of an attempt: beside greedy ones in the first round, alone in later rounds
BEGUN = 2  # rewrites that begin as the draft does, up to where the base leaves it with the reference in view
GIVEN = 2  # rewrites of an attempt that are given a value to say, where some rewrite lacks a value
PER_ATTEMPT = 1 + BEGUN + SAMPLES + GIVEN  # rewrites asked for at most in one attempt
SEVERAL = 3  # rewrites that must pass the rules before words that none of them says count as no part of the fact
DRAFTS = 3  # drafts sampled beside the greedy one, to find what all drafts have in common


@dataclass(frozen=True)
class Ask:
    """A prompt for a row, and the tokens with which the answer must begin."""

    row: RewriteState
    prompt: list[Message]
    begins: tuple[int, ...] = ()


@dataclass(frozen=True)
class Regenerate:
    base: Base
    prompts: tuple[str, ...]  # that put the reference in view, the best first; each attempt takes the next
    asking: str  # the prompt for the question that a text answers
    mode: Mode = "rewrite"
    attempts: int = 3
    fallback: Fallback = "reference"
    max_tokens: int = 512  # most tokens of any answer
    lang: str = "en"
    glossary: tuple[str, ...] = ()
    seed: int = 0
    temperature: float = 0.0  # of the rewrites that are greedy elsewhere
    thoughts: Thoughts = "drop"
    rewrites: int = 1  # most rewrites kept of an answer, each as a row of its own

    name: ClassVar[str] = "regenerate"
    version: ClassVar[int] = 29
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference", "knowledge")

    def identity(self) -> dict[str, Any]:
        fields = ("mode", "attempts", "fallback", "max_tokens", "lang", "seed", "temperature", "thoughts",
                  "rewrites")  # fmt: skip
        texts = {"prompts": list(self.prompts), "asking": self.asking, "glossary": list(self.glossary)}
        return {**self.base.identity(), **{name: getattr(self, name) for name in fields}, **texts}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        columns = (table[name].to_pylist() for name in ("prompt", "reference", "knowledge"))
        rows = [
            RewriteState(prompt, reference, learned or []) for prompt, reference, learned in zip(*columns, strict=True)
        ]
        if self.mode == "source":
            for row in rows:
                row.decide("reference", row.reference, False)
            return with_columns(table, rows)
        self._draft(rows)
        for attempt in range(self.attempts):
            self._rewrite([row for row in rows if row.open], attempt)
        self._choose(rows, at_last=True)
        doubted = [row for row in rows if row.open and row.passed >= SEVERAL]
        for row in doubted:
            self._believe(row)
        self._choose(doubted, at_last=True)
        self._reconsider([row for row in rows if row.open and row.reworded])
        for row in rows:
            if row.open:
                self._fall_back(row)
        built = with_columns(table, rows)
        if self.rewrites == 1:
            return built
        return pa.concat_tables([built, alternatives(table, rows, self.rewrites - 1, self._answers)])

    def _draft(self, rows: list[RewriteState]) -> None:
        answers = self._generate([Ask(row, row.prompt) for row in rows], temperature=0.0, seed=self.seed)
        for row, reply in zip(rows, answers, strict=True):
            # The thought before a draft depends on the question alone. A thought that has read the reference would give
            # the fact away and leave nothing to learn in the answer.
            row.draft, row.thought = reply.text, reply.kept(self.thoughts)
            row.flags = [UNFINISHED] if reply.lost_in_thought else None
            question = question_of(row.prompt)
            if reply.finished and states(reply.text, row.reference, question, lang=self.lang, glossary=self.glossary):
                row.decide("known", reply.text, True)

    def _rewrite(self, rows: list[RewriteState], attempt: int) -> None:
        """Ask for rewrites with the attempt's prompt. In the first round of the prompts: the likeliest rewrite, free
        and begun like the draft, and sampled ones; in later rounds sampled ones alone, warmer with each round. Ask for
        rewrites that lack a value again, with the value put in place."""
        tried, number = divmod(attempt, len(self.prompts))
        prompt_text = self.prompts[number]
        plain = [Ask(row, in_view(prompt_text, row.prompt, row.reference, row.draft)) for row in rows]
        asks: list[Ask] = []
        replies: list[Reply] = []
        if not tried:
            asks = [*plain, *self._begun_as_drafted(plain)]
            replies = self._generate(asks, temperature=self.temperature, seed=self.seed)
        more = [ask for ask in plain for _ in range(SAMPLES)]
        replies += self._generate(more, temperature=WARMTH + WARMING * tried, seed=self.seed + attempt)
        asks += more
        with_value = self._given_a_value(asks, replies)
        replies += self._generate(with_value, temperature=self.temperature, seed=self.seed)
        self._judge([*asks, *with_value], replies)

    def _judge(self, asks: Sequence[Ask], replies: Sequence[Reply]) -> None:
        """Check these rewrites, and decide the rows of which a rewrite is accepted."""
        for ask, reply in zip(asks, replies, strict=True):
            row, text = ask.row, reply.text
            problems = self._check(row, text, reply.finished)
            if not problems:
                row.passed += 1
                if text not in (*row.faithful, *row.doubted, *row.strayed):
                    row.faithful.append(text)
            elif {problem.kind for problem in problems} == {"missing-content"}:
                row.reworded.append(text)
        rows = list({id(ask.row): ask.row for ask in asks}.values())
        self._keep_recoverable(rows)
        self._choose(rows)

    def _given_a_value(self, asks: Sequence[Ask], replies: Sequence[Reply]) -> list[Ask]:
        """Prompts to redo rewrites, each up to where the base with the reference in view would most likely say a value
        that the rewrite lacks, continued with that exact value (lexically constrained decoding, arXiv 1704.07138): a
        weak model says half a value, or a more usual one."""
        template = self.base.template
        if template.thinks:  # a thought comes before the answer
            return []
        short = [
            (ask, reply.text)
            for ask, reply in zip(asks, replies, strict=True)
            if reply.text and self._missing(ask.row, reply.text)
        ]
        rendered = [render(self.base, ask.row.prompt, text) for ask, text in short]
        scored = behind(self.base, [template.prompt_ids(ask.prompt) for ask, _ in short], rendered, LOOKED)
        beginnings: dict[int, dict[tuple[int, ...], tuple[float, Ask]]] = defaultdict(dict)
        for (ask, text), tokens, scores in zip(short, rendered, scored, strict=True):
            if not tokens or not scores:
                continue
            lacking = self._missing(ask.row, text, partial(sayable, scores=scores, ids=template.text_ids))
            led = [lead + value for value in lacking for lead in ("", " ")]
            values = [template.text_ids(value) for value in led]
            if place := self._place(text, tokens, scores, led, values):
                logprob, before, which = place
                begins = (*tokens.response_ids[:before], *values[which])
                beginnings[id(ask.row)].setdefault(begins, (logprob, replace(ask, begins=begins)))
        return [
            ask
            for of_row in beginnings.values()
            for _, ask in sorted(of_row.values(), key=lambda pair: -pair[0])[:GIVEN]
        ]

    @staticmethod
    def _place(
        text: str, tokens: Rendered, scores: TokenScores, led: Sequence[str], values: Sequence[Sequence[int]]
    ) -> tuple[float, int, int] | None:  # fmt: skip
        """``likeliest_place`` for values that do not run into the word before them. ``led``: the values as text."""
        return likeliest_place(scores, values, lambda at, index: not glued(text[: tokens.starts[at]], led[index]))

    def _missing(self, row: RewriteState, text: str, said: Callable[[str], bool] | None = None) -> list[str]:
        return missing_values(text, row.reference, question_of(row.prompt), row.knowledge, self.lang, said)

    def _begun_as_drafted(self, asks: Sequence[Ask]) -> list[Ask]:
        """Prompts whose answers begin like the closed-book draft, up to where the base would leave the draft with the
        reference in view. None for a model that thinks first: a thought comes before its answer."""
        if self.base.template.thinks or self.mode != "rewrite":
            return []
        drafts = [render(self.base, ask.row.prompt, ask.row.draft) if ask.row.draft else None for ask in asks]
        scored = behind(self.base, [self.base.template.prompt_ids(ask.prompt) for ask in asks], drafts)
        return [
            replace(ask, begins=tuple(draft.response_ids[:k]))
            for ask, draft, scores in zip(asks, drafts, scored, strict=True)
            if draft and scores
            for k in departures(draft.response_ids, scores.top_ids[:, 0].tolist())[:BEGUN]
            if k < self._budget(ask.row)
        ]

    def _keep_recoverable(self, rows: Sequence[RewriteState]) -> None:
        """Move rewrites from which the base cannot recover the words to be learned to ``doubted``."""
        pairs = [(row, text) for row in rows for text in row.faithful if text not in row.ranks]
        trips = [RoundTrip(row.prompt, row.reference, text, row.knowledge) for row, text in pairs]
        for (row, text), gone in zip(pairs, lost_words(self.base, self.prompts[0], trips, self.lang), strict=True):
            if gone:
                row.faithful.remove(text)
                row.doubted[text] = gone

    def _believe(self, row: RewriteState) -> None:
        """Accept doubted rewrites that lost only words that none of several rewrites (equal ones included) says, under
        any prompt: such words are the source's wording ("licence holder: …"), not the fact."""
        doubted_stems = {word for text in row.doubted for word in stems(text, self.lang)}
        row.faithful = [
            t for t, gone in row.doubted.items() if not doubted_stems & {w for g in gone for w in stems(g, self.lang)}
        ]

    def _choose(self, rows: Sequence[RewriteState], at_last: bool = False) -> None:
        """Take for each row the best rewrite that answers its question, and set better ranked ones that do not aside. A
        rewrite with an oddity is taken only ``at_last``: later attempts may give a plain one."""
        rows = [row for row in rows if row.open and row.faithful]
        self._rank(rows)
        while rows := [row for row in rows if row.open and row.faithful and (at_last or row.is_plain)]:
            for row, answers in zip(rows, self._answers([(row, row.faithful[0]) for row in rows]), strict=True):
                if answers:
                    self._take(row, row.faithful[0])
                else:
                    row.strayed.append(row.faithful.pop(0))

    def _answers(self, pairs: Sequence[tuple[RewriteState, str]]) -> list[bool]:
        """Whether each rewrite answers its row's question."""
        trips = [RoundTrip(row.prompt, row.reference, text) for row, text in pairs]
        return [not stray for stray in stray_words(self.base, self.asking, trips, self.lang)]

    def _rank(self, rows: Sequence[RewriteState]) -> None:
        """Rank the rewrites of each row (``rewrite.ranking``), and sort them, the best first."""
        pairs = [(row, text) for row in rows for text in row.faithful if text not in row.ranks]
        trips = [RoundTrip(row.prompt, row.reference, text, row.knowledge, row.draft) for row, text in pairs]
        for (row, text), rank in zip(pairs, ranks(self.base, self.prompts, self.asking, trips, self.lang), strict=True):
            row.ranks[text] = rank
        for row in rows:
            row.faithful.sort(key=lambda text: (row.ranks[text], text))

    def _take(self, row: RewriteState, text: str) -> None:
        # With the reference in view the model changed no fact of its draft, so it already knew the answer.
        if same_facts(row.draft, text, question_of(row.prompt), lang=self.lang):
            row.decide("known", row.draft, True)
        else:
            row.decide("rewritten" if self.mode == "rewrite" else "corrected", text, True)

    def _reconsider(self, rows: list[RewriteState]) -> None:
        more = [
            self._generate([Ask(row, row.prompt) for row in rows], temperature=1.0, seed=self.seed + number)
            for number in range(DRAFTS if rows else 0)
        ]
        for row, *drafts in zip(rows, *more, strict=True):
            framing = framed([row.draft, *(reply.text for reply in drafts)], self.lang)
            row.faithful = [text for text in dict.fromkeys(row.reworded) if not self._check(row, text, True, framing)]
        self._keep_recoverable(rows)
        self._choose(rows, at_last=True)

    def _check(self, row: RewriteState, text: str, finished: bool, framing: Collection[str] = ()) -> list[Problem]:
        context = "\n".join([row.draft, *(m["content"] for m in row.prompt)])  # words that a rewrite may repeat
        return check(
            text, reference=row.reference, question=question_of(row.prompt), draft=context, finished=finished,
            lang=self.lang, glossary=self.glossary, framing=framing,
        )  # fmt: skip

    def _fall_back(self, row: RewriteState) -> None:
        if self.fallback == "drop":
            row.drop = "unfaithful"
        else:
            row.decide("reference", row.reference, False)

    def _generate(self, asks: Sequence[Ask], temperature: float, seed: int) -> list[Reply]:
        """One reply per prompt; a prompt that leaves no room for an answer gives an empty, unfinished reply."""
        template = self.base.template
        ids = [[*template.prompt_ids(ask.prompt), *ask.begins] for ask in asks]
        room = self.base.config.max_model_len - self.max_tokens
        answers = [Reply("", None, False)] * len(asks)
        alike: dict[int, list[int]] = defaultdict(list)
        for i, ask in enumerate(asks):
            if len(ids[i]) <= room:
                alike[self._budget(ask.row)].append(i)
        for budget, fitting in sorted(alike.items()):
            sampling = Sampling(budget, temperature, seed=seed, stop_ids=template.stop_ids)
            completions = self.base.engine.generate([ids[i] for i in fitting], sampling)
            for i, completion in zip(fitting, completions, strict=True):
                reply = template.read(replace(completion, ids=(*asks[i].begins, *completion.ids)))
                answers[i] = replace(reply, text=reply.text.strip())
        return answers

    def _budget(self, row: RewriteState) -> int:
        """Token limit of an answer: ``TIMES`` the reference's tokens, rounded up to a power of two so that few engine
        calls suffice; longer answers ramble. A model that thinks gets ``max_tokens``: a thought's length is unknown."""
        if self.base.template.thinks:
            return self.max_tokens
        tokens = TIMES * self.base.template.count(row.reference)
        return min(self.max_tokens, max(LEAST, 1 << math.ceil(math.log2(max(tokens, 1)))))
