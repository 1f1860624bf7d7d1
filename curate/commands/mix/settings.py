"""The settings of ``curate mix``: each field is a flag and a key of its YAML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from curate.commands.settings import Cleaning, Language, ModelConfig, Running
from curate.config.settings import Strict
from curate.config.values import by_commas
from curate.mixture.settings import MixtureConfig
from curate.rehearsal.settings import Answers, Words

GUARD = "guard"
LICENCE = "made here"
"""The licence that the card states for generated prompts."""

SPARE = 1.25
"""Rehearsal rows answered per row that the ratio asks for: some answers never end, some rows do not fit."""

Share = Annotated[float, Field(gt=0, le=1)]


class Amounts(MixtureConfig):
    """Mixture: amounts of new rows and rehearsal."""

    sweep: Annotated[tuple[Share, ...], BeforeValidator(by_commas)] = Field((), description="Several ratios, such as "
        "0.5,0.7,0.9: write a training folder for each. `train sft` trains all of them.")  # fmt: skip


class Rehearsing(Strict):
    """Rehearsal: prompts that keep other knowledge and skills."""

    rehearsal: list[str] = Field(["neighbours"], description="A rehearsal set: the name of a data card (dolly), a file "
        "in a card's schema (alpaca=a.json), any file (name=path), or prompts that curate makes: neighbours, splice, "
        "self, guard. May be repeated.")  # fmt: skip
    cards: Path = Field(Path("data_cards"), description="Folder of your own data cards.")
    guard: bool = Field(True, description="Rehearse answers to harmful prompts and to harmless look-alikes.")
    answers: Answers = Field("own", description="Answers to rehearse: own (the base model's) or given (the set's).")
    stratify: bool = Field(True, description="Where a set is larger than needed, sample it by topic.")
    splice_words: Words = Field("vocabulary", description="Source of the random words in splices: new (rows), "
        "rehearsal (sets), vocabulary (of the tokenizer), or self (prompts that the model samples).")  # fmt: skip
    lang: Language = Field("en", description="Language of the rehearsal, as a spaCy code.")
    max_tokens: int = Field(512, ge=1, description="Most tokens of an answer, including a thought before it. "
                            "A longer answer is cut.")  # fmt: skip
    top_k: int = Field(20, ge=1, le=64, description="Log-probabilities stored per token, for the anchors.")


class MixConfig(Amounts, Rehearsing, ModelConfig, Cleaning, Running):
    build: Path | None = Field(None, description="Built dataset. Default: the latest in --work.")
    work: Path = Field(Path("builds"), description="Folder of the stages' output, from which a mix resumes.")
    out: Path = Field(Path("out"), description="Training folder to write.")
    decontaminate: list[Path] = Field([], description="File or folder of evaluation items; rows that contain an item "
                                      "are left out. May be repeated.")  # fmt: skip
    max_length: int = Field(0, ge=0, description="Most tokens of a row. Default: the model's context.")

    def plan(self, present: Sequence[str] = ()) -> MixtureConfig:
        """``present``: the rehearsal sets that have rows. Where some have a weight, the others have 1."""
        mixture = self.model_dump(include=set(MixtureConfig.model_fields))
        weights = {**dict.fromkeys(present, 1.0), **self.weights} if self.weights else {}
        return MixtureConfig(**{**mixture, "weights": weights})
