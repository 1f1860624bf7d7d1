"""The settings of ``curate build``: each field is a flag and a key of its YAML file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from curate.commands.settings import Cleaning, Columns, Language, ModelConfig, Running
from curate.config.settings import Strict
from curate.config.values import by_name
from curate.mask.settings import Policy
from curate.mask.thresholds import Thresholds
from curate.rewrite.settings import Fallback, Mode

if TYPE_CHECKING:  # a command's help needs no tables
    from curate.ingest import Source
    from curate.passages import Plan


class Reading(Strict):
    """Source: what is read, and how."""

    source: str = Field(description="File, folder or hub id with questions and answers.")
    kind: Literal["qa", "text"] = Field("qa", description="qa: questions and answers; text: documents, about which the "
                                        "base model asks and answers.")  # fmt: skip
    name: str | None = Field(None, description="Name of the source. Default: the file's.")
    columns: Columns = Field({}, description="Which column is what: question=ask,answer=answer.")
    encoding: str = Field("utf-8", description="Text encoding of the source.")
    all_turns: bool = Field(False, description="One row per assistant turn, not only the last.")
    split: str = Field("train", description="Split of a hub dataset.")
    lang: Language = Field("en", description="Language of the source (spaCy's codes).")
    column: str = Field("text", description="Column of documents in files of records, with --kind text.")
    questions: int = Field(3, ge=1, le=20, description="Asked about each passage, with --kind text.")
    passage_tokens: int = Field(512, ge=64, description="Longest passage, with --kind text.")
    exclude: Path | None = Field(None, description="Text file: ids of rows to leave out, one a line, # begins a "
        "comment. ID: the row and all its wordings; ID-w1: that wording. They are marked `excluded`; nothing is "
        "deleted.")  # fmt: skip
    test: float = Field(0.0, ge=0, lt=1, description="Share of the facts never trained on, each with all rows that may "
        "tell it; a suite asks for them. What a model answers there it was never taught: right answers are guesses, "
        "wrong ones made up. Beside them it asks for as many facts that are trained.")  # fmt: skip


class Rewriting(Strict):
    """Rewriting: answers in the base model's own words."""

    wordings: int = Field(1, ge=1, description="Ways of asking each question; the model rephrases.")
    mode: Mode = Field("rewrite", description="rewrite, correct (the draft, as few words changed), or source (none).")
    attempts: int = Field(3, ge=1, description="Times that rewrites are asked for, several each time, with each prompt "
                          "in turn.")  # fmt: skip
    calibrate: int = Field(32, ge=0, description="First rows on which the shipped prompts for a rewrite, or yours, are "
                           "tried; the best is taken. 0: the first prompt, untried.")  # fmt: skip
    fallback: Fallback = Field("reference", description="No faithful rewrite: reference (wording) or drop.")
    max_tokens: int = Field(512, ge=1, description="Longest answer, in tokens, the thought before it included.")
    glossary: Path | None = Field(None, description="Text file: terms that must be kept whole and exact.")
    prompts: Path | None = Field(None, description="Folder with your own rewrite.jinja, correct.jinja.")


class Masking(Strict):
    """Mask: which tokens are learned."""

    mask: Policy = Field("key", description="key, diff, argmax, unexplained, low-perplexity, soft or all.")
    thresholds: Annotated[Thresholds, BeforeValidator(by_name)] = Field(Thresholds(), description="Where the "
        "mask cuts, in nats; those left out keep their defaults. Default: gain=1,confident=-0.92,lift=0.5,beside=0.1,"
        "normal=-0.92,unsupported=-6.9,temperature=0.5.")  # fmt: skip
    top_k: int = Field(20, ge=1, le=64, description="Log-probabilities kept per token, for the anchors.")


class BuildConfig(Reading, ModelConfig, Rewriting, Masking, Cleaning, Running):
    out: Path = Field(Path("builds"), description="Folder of the stages' output (resumes from it).")
    workspace: bool = Field(True, description="Write curate.yaml where there is none.")

    def input(self) -> "Source":
        from curate.ingest import Source

        return Source(
            path=self.source, name=self.name, columns=self.columns, encoding=self.encoding, all_turns=self.all_turns,
            split=self.split,
        )  # fmt: skip

    @property
    def judged(self) -> bool:
        """Whether the base model has a word on the rows."""
        return bool(self.clean and self.clean.judge)

    def passages(self) -> "Plan":
        from curate.passages import Plan

        return Plan(column=self.column, questions=self.questions, size=self.passage_tokens, max_tokens=self.max_tokens,
                    lang=self.lang, seed=self.seed)  # fmt: skip

    @model_validator(mode="after")
    def _no_columns_of_text(self) -> Self:
        flags = [f"--{name.replace('_', '-')}" for name in ("columns", "all_turns") if getattr(self, name)]
        if self.kind == "text" and flags:
            raise ValueError(f"{', '.join(flags)}: documents have no turns; say --column where records hold them")
        return self

    @property
    def prompt_text(self) -> str:
        """The prompt that puts the reference in view; scoring needs one even where nothing is rewritten."""
        return "rewrite" if self.mode == "source" else self.mode

    def terms(self) -> tuple[str, ...]:
        """The glossary: a text file with a term on each line."""
        from curate.holdout.exclude import read_lines

        return tuple(read_lines(self.glossary, "--glossary", "a term")) if self.glossary else ()

    def excluded(self) -> tuple[str, ...]:
        """The ids of the rows to leave out, and of wordings."""
        from curate.holdout.exclude import read_ids

        return read_ids(self.exclude) if self.exclude else ()
