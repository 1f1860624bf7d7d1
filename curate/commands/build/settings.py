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

    source: str = Field(description="File, folder or hub id with questions and answers, or with documents (--kind "
                        "text).")  # fmt: skip
    kind: Literal["qa", "text"] = Field("qa", description="qa: questions and answers. text: documents; the base model "
                                        "writes questions about them and answers these.")  # fmt: skip
    name: str | None = Field(None, description="Name of the source. Default: the file's name.")
    columns: Columns = Field({}, description="Columns of the questions and answers, such as question=ask,answer=reply.")
    encoding: str = Field("utf-8", description="Text encoding of the source.")
    all_turns: bool = Field(False, description="Make a row of every assistant turn, not only of the last.")
    split: str = Field("train", description="Split of a hub dataset.")
    lang: Language = Field("en", description="Language of the source, as a spaCy code.")
    column: str = Field("text", description="With --kind text: column of the documents in files of records.")
    questions: int = Field(3, ge=1, le=20, description="With --kind text: number of questions about each passage.")
    passage_tokens: int = Field(512, ge=64, description="With --kind text: most tokens of a passage.")
    exclude: Path | None = Field(None, description="Text file with ids of rows to leave out, one id a line; # begins a "
        "comment. ID: the row with its wordings and further rewrites. ID-w1: only that wording. ID-r1: only that "
        "rewrite. Such rows are marked `excluded`, not deleted.")  # fmt: skip
    test: float = Field(0.0, ge=0, lt=1, description="Share of the facts to keep out of training. All rows that may "
        "state such a fact are left out. test.jsonl asks for these facts, whose answers the model can only guess or "
        "make up, and for as many trained facts.")  # fmt: skip


class Rewriting(Strict):
    """Rewriting: answers in the base model's own words."""

    wordings: int = Field(1, ge=1, description="Wordings of each question; the base model writes all but the first.")
    rewrites: int = Field(1, ge=1, description="Most faithful rewrites kept of an answer. Each is a row of its own, so "
                          "that the model learns a fact in several wordings.")  # fmt: skip
    mode: Mode = Field("rewrite", description="rewrite: answer with the reference in view. correct: change few words "
                       "of the closed-book draft. source: keep the source's text.")  # fmt: skip
    attempts: int = Field(3, ge=1, description="Attempts at a faithful rewrite. Each asks for several rewrites, with "
                          "the next prompt in turn.")  # fmt: skip
    calibrate: int = Field(32, ge=0, description="Number of rows on which the rewriting prompts are tried. The build "
                           "begins with the best prompt. 0: no trial; the first prompt begins.")  # fmt: skip
    fallback: Fallback = Field("reference", description="Row without a faithful rewrite: keep the source's wording "
                               "(reference), or drop the row (drop).")  # fmt: skip
    max_tokens: int = Field(512, ge=1, description="Most tokens of an answer, including a thought before it.")
    glossary: Path | None = Field(None, description="Text file with terms, one a line, that must be kept exactly.")
    prompts: Path | None = Field(None, description="Folder with your own prompts, such as rewrite.jinja.")


class Masking(Strict):
    """Mask: which tokens are learned."""

    mask: Policy = Field("key", description="Policy that chooses the tokens to learn, such as key, diff, soft or all.")
    thresholds: Annotated[Thresholds, BeforeValidator(by_name)] = Field(Thresholds(), description="Thresholds of the "
        "policy, in nats, such as gain=1,lift=0.5; others keep their defaults.")  # fmt: skip
    top_k: int = Field(20, ge=1, le=64, description="Log-probabilities stored per token, for the anchors.")


class BuildConfig(Reading, ModelConfig, Rewriting, Masking, Cleaning, Running):
    out: Path = Field(Path("builds"), description="Folder of the stages' output, from which a build resumes.")
    workspace: bool = Field(True, description="Write curate.yaml, unless there is one.")

    def input(self) -> "Source":
        from curate.ingest import Source

        return Source(
            path=self.source, name=self.name, columns=self.columns, encoding=self.encoding, all_turns=self.all_turns,
            split=self.split,
        )  # fmt: skip

    @property
    def judged(self) -> bool:
        """Whether the base model judges the quality and toxicity of rows (``--judge``)."""
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
        """Name of the prompt that puts the reference in view. Scoring needs this prompt in the mode source, too."""
        return "rewrite" if self.mode == "source" else self.mode

    def terms(self) -> tuple[str, ...]:
        """The glossary: a text file with a term on each line."""
        from curate.holdout.exclude import read_lines

        return tuple(read_lines(self.glossary, "--glossary", "a term")) if self.glossary else ()

    def excluded(self) -> tuple[str, ...]:
        """The ids of the rows to leave out, and of wordings."""
        from curate.holdout.exclude import read_ids

        return read_ids(self.exclude) if self.exclude else ()
