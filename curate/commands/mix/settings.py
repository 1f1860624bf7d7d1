"""The settings of ``curate mix``: each field is a flag and a key of its YAML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from curate.commands.settings import Cleaning, Language, ModelConfig, Running
from curate.config.settings import Strict
from curate.config.values import by_commas, by_name
from curate.mixture.settings import MixtureConfig, Unit
from curate.rehearsal.settings import Answers, Words

GUARD = "guard"
LICENCE = "made here"
"""What is said of the licence of prompts that are made."""

SPARE = 1.25
"""Rehearsal rows answered per row that the ratio asks for: some answers never end, some rows do not fit."""

Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Amounts(Strict):
    """Mixture: how much of what."""

    ratio: float = Field(0.8, gt=0, le=1, description="Share of new knowledge; 1 means no rehearsal.")
    sweep: Annotated[tuple[Share, ...], BeforeValidator(by_commas)] = Field((), description="Several ratios, "
        "0.5,0.7,0.9: a training folder for each; `train sft` trains them all.")  # fmt: skip
    ratio_unit: Unit = Field("rows", description="What the ratio counts: rows, tokens or targets.")
    size: int | None = Field(None, ge=1, description="Size of the training split, counted as the ratio is; new rows "
                             "repeat beside rehearsal that does not. Default: every new row once.")  # fmt: skip
    max_repeat: int = Field(4, ge=1, description="How often a row may stand in the training split.")
    weights: Annotated[dict[str, Weight], BeforeValidator(by_name)] = Field({}, description="Shares of the "
        "rehearsal sets: dolly=2,self=3; others 1.")  # fmt: skip
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False, description="Shares of the rehearsal sets by "
        "their sizes: size^(1/T); 1 is proportional, large T equal.")  # fmt: skip
    validation: float = Field(0.02, ge=0, lt=1, description="Share of the questions held out.")


class Rehearsing(Strict):
    """Rehearsal: what keeps the rest as it was."""

    rehearsal: list[str] = Field(["neighbours"], description="A set by its card (dolly), a local file in a set's "
        "schema (alpaca=a.json), any file (name=path), or prompts made here: splice, neighbours, self, guard. May be "
        "repeated. Default: neighbours.")  # fmt: skip
    cards: Path = Field(Path("data_cards"), description="Folder of your own data cards.")
    guard: bool = Field(True, description="Hold the model's answers to harmful prompts and their look-alikes.")
    answers: Answers = Field("own", description="Rehearsal answers: own (the base model's) or given.")
    stratify: bool = Field(True, description="Sample a set that is larger than needed by topic.")
    splice_words: Words = Field("vocabulary", description="Random words of splices: of new rows, of the rehearsal "
        "read, vocabulary (the tokenizer's), or self (the model's own prompts).")  # fmt: skip
    lang: Language = Field("en", description="Language of the rehearsal (spaCy's codes).")
    max_tokens: int = Field(512, ge=1, description="Longest answer, in tokens, the thought before it included.")
    top_k: int = Field(20, ge=1, le=64, description="Log-probabilities kept per token, for the anchors.")


class MixConfig(Amounts, Rehearsing, ModelConfig, Cleaning, Running):
    build: Path | None = Field(None, description="Built dataset. Default: the latest in --work.")
    work: Path = Field(Path("builds"), description="Folder of the stages' output (resumes from it).")
    out: Path = Field(Path("out"), description="Folder of the training shards.")
    decontaminate: list[Path] = Field([], description="File or folder of evaluation items; rows that hold one are left "
                                      "out. May be repeated.")  # fmt: skip
    max_length: int = Field(0, ge=0, description="Longest row, in tokens. Default: the context.")

    def plan(self, present: Sequence[str] = ()) -> MixtureConfig:
        """``present``: the rehearsal sets that have rows. Where some have a weight, the others have 1."""
        names = ("ratio", "ratio_unit", "size", "seed", "max_repeat", "validation", "temperature")
        weights = {**dict.fromkeys(present, 1.0), **self.weights} if self.weights else {}
        return MixtureConfig(**{name: getattr(self, name) for name in names}, weights=weights)
