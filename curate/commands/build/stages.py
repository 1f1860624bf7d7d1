"""The stages of a build with their settings, and early checks of what these stages would fail on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.dedup.stage import Dedupe
from curate.holdout.exclude import DedupeWithout, Exclude, check_ids, deciding, unmatched_warning
from curate.holdout.facts import HoldOut, split
from curate.holdout.suites import write_suites
from curate.mask.score import Score
from curate.mask.stage import Mark
from curate.model.base import Base
from curate.model.prompts import in_view, variants
from curate.model.template import TemplateError
from curate.rewrite.knowledge_stage import Knowledge
from curate.rewrite.regenerate import Regenerate
from curate.rewrite.reword import Reword
from curate.schema import Message
from curate.store.files import read_dataset, read_live
from curate.store.stage import Stage


def longest(prompt_texts: Mapping[str, str], prompt: str) -> str:
    """The longest variant of a prompt: a row must fit the context with any of them."""
    return max((prompt_texts[name] for name in variants(prompt_texts, prompt)), key=len)


def regenerate(
    config: BuildConfig, base: Base, prompt_texts: Mapping[str, str], prompts: tuple[str, ...]
) -> Regenerate:
    return Regenerate(
        base, prompts, prompt_texts["question"], config.mode, config.attempts, config.fallback, config.max_tokens,
        config.lang, config.terms(), config.seed, thoughts=config.thoughts, rewrites=config.rewrites,
    )  # fmt: skip


def stages(
    config: BuildConfig, base: Base, prompt_texts: dict[str, str], ingested: Path, prompts: tuple[str, ...] = ()
) -> list[Stage]:  # fmt: skip
    """The stages of a build, in order; add a new stage here. Rows that the user excludes and rows held out for a test
    are marked last, so that another choice repeats no work of the model. ``prompts``: those that show the model a
    reference, best first; by default the shipped ones in their order."""
    terms, ids = config.terms(), config.excluded()
    prompts = prompts or tuple(prompt_texts[name] for name in variants(prompt_texts, config.prompt_text))
    reword = Reword(base, rephrase(prompt_texts), config.wordings, config.lang, config.seed, config.max_tokens)
    return [
        compare(Dedupe(ingested, config.lang, judge=base if config.judged else None), ids),
        *([reword] if config.wordings > 1 else []),
        Knowledge(base, prompts[0], ingested, config.lang),
        regenerate(config, base, prompt_texts, prompts),
        Score(base, prompts[0], config.top_k),
        Mark(config.mask, config.thresholds, config.lang, terms),
        *([Exclude(ids)] if ids else []),
        *([HoldOut(ingested, config.test, config.lang, config.seed)] if config.test else []),
    ]  # fmt: skip


def compare(dedupe: Dedupe, ids: Sequence[str]) -> Stage:
    """The stage that compares all rows; excluded rows are left out where they would decide about other rows."""
    if not ids:
        return dedupe
    # A judge also compares rows that rules would not, so with a judge any row may decide about others.
    without = tuple(ids) if dedupe.judge else deciding(read_live(dedupe.dataset, Dedupe.reads), ids, dedupe.lang)
    return DedupeWithout(dedupe, without) if without else dedupe


def check_choices(config: BuildConfig, ingested: Path) -> None:
    """Raise the errors of --exclude and --test before the model does any work."""
    if config.exclude:
        rows = set(read_dataset(ingested, ["id"])["id"].to_pylist())
        check_ids(config.excluded(), rows, config.wordings, config.exclude)
    if config.test:
        split(ingested, config.test, config.seed, config.lang)


def rephrase(prompt_texts: dict[str, str]) -> tuple[str, ...]:
    """The texts of the variants of the prompt to rephrase a question."""
    return tuple(prompt_texts[name] for name in variants(prompt_texts, "rephrase"))


def say_unmatched(path: Path, ids: Sequence[str], built: Path, progress: Progress) -> None:
    warning = unmatched_warning(ids, read_dataset(built, ["id"])["id"].to_pylist(), path)
    if warning:
        progress.say(warning)


def heldout_suites(
    config: BuildConfig, base: Base, prompt_texts: dict[str, str], ingested: Path, built: Path
) -> dict[str, Any]:  # fmt: skip
    """Write evaluation suites of the held-out facts and of trained facts beside the build; return counts and path."""
    reword = Reword(base, rephrase(prompt_texts), config.wordings + 1, config.lang, config.seed + 1, config.max_tokens)
    held_out = split(ingested, config.test, config.seed, config.lang)
    return write_suites(built, held_out, config.seed, config.lang, None if config.ray else reword)


def choices(config: BuildConfig, ingested: Path) -> dict[str, Any]:
    """Numbers of this source's rows that --exclude and --test would leave out."""
    counts: dict[str, Any] = {}
    if config.exclude:
        ids = config.excluded()
        rows = read_dataset(ingested, ["id"])["id"].to_pylist()
        counts["excluded"] = sum(row in ids for row in rows)
    if config.test:
        counts["test"] = split(ingested, config.test, config.seed, config.lang).numbers()
    return counts


@dataclass(frozen=True)
class FitsContext:
    """Whether a row fits the context with its reference in view and room for an answer, and so with the reference as
    the answer."""

    base: Base
    prompt_text: str
    max_tokens: int

    def identity(self) -> dict[str, Any]:
        return {"context": self.base.config.max_model_len, "room": self.max_tokens, "prompt_text": self.prompt_text,
                "template": self.base.template.hash, "tokenizer": self.base.template.tokenizer_hash}  # fmt: skip

    def __call__(self, prompt: list[Message], answer: str) -> bool:
        template = self.base.template
        try:
            ids = template.prompt_ids(in_view(self.prompt_text, prompt, answer))
        except TemplateError:
            return True  # not a question of length: the stage that renders the row reports this error
        return len(ids) + self.max_tokens <= self.base.config.max_model_len
