"""Switches and thresholds of the cleaning rules: one field each, from which the command line makes its flags."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from curate.clean.identify import known
from curate.config.settings import Strict

Personal = Literal["mask", "drop", "off"]
PersonalKind = Literal["email", "phone", "card", "iban", "national-number"]
PERSONAL_KINDS: tuple[PersonalKind, ...] = ("email", "phone", "card", "iban", "national-number")
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class CleanRules(Strict):
    """``None`` (False, "off") switches a rule off. Shares are between 0 and 1. *At least* in a field's description
    includes the threshold, *more than* excludes it. Any value may be text, as flags give it: "off" for None, commas
    between the members of a list.

    >>> CleanRules.model_validate({"truncated": "off", "languages": "vi,en"}).languages
    ('en', 'vi')
    """

    repair_html: bool = Field(True, description="take out HTML tags and entities, except where a row is about code")
    repair_encoding: bool = Field(True, description="put right text that was decoded wrongly (â€™ for ’)")
    repair_control: bool = Field(True, description="take out control and invisible characters")

    boilerplate: Share | None = Field(
        0.6, description="boilerplate: at least this share of an answer's characters is navigation or links"
    )
    truncated: Share | None = Field(
        0.5, description="truncated: a sign that the answer breaks off scores at least this (signs: docs/cleaning.md)"
    )

    languages: tuple[str, ...] | None = Field(
        None, description="wrong-language: ISO 639 codes that question and answer may be in, such as en,vi"
    )
    foreign: Share = Field(0.99, description="wrong-language: at least this probability of another language")
    foreign_letters: Count = Field(
        60, description="wrong-language: least letters of a text that is judged; a Chinese letter counts as three"
    )

    least_words: Count | None = Field(1, description="too-short: an answer has fewer words than this")
    most_words: Count | None = Field(None, description="overlong: an answer has more words than this")

    repetition_words: Count | None = Field(
        50, description="repetitive: least words of an answer that is judged; off switches all of this rule off"
    )
    # The paper's thresholds, in brackets, are for whole web pages. An answer of fifty words about one disease spends
    # a fifth of its characters on the name, and lines of a list share words: the paper's values mark mostly wrongly.
    duplicate_lines: Share | None = Field(
        0.30, description="repetitive: more than this share of the lines of three or more words are repeats (0.30)"
    )
    duplicate_paragraphs: Share | None = Field(
        0.30, description="repetitive: more than this share of the paragraphs are repeats (0.30)"
    )
    duplicate_line_characters: Share | None = Field(
        0.40, description="repetitive: more than this share of the characters is in repeated lines (0.20)"
    )
    duplicate_paragraph_characters: Share | None = Field(
        0.40, description="repetitive: more than this share of the characters is in repeated paragraphs (0.20)"
    )
    top_2gram: Share | None = Field(
        0.60, description="repetitive: the most frequent pair of words has more than this share of characters (0.20)"
    )
    top_3gram: Share | None = Field(0.75, description="repetitive: the same, of three words (0.18)")
    top_4gram: Share | None = Field(0.80, description="repetitive: the same, of four words (0.16)")
    repeated_5grams: Share | None = Field(
        0.85, description="repetitive: more than this share of the characters is in repeated runs of five words (0.15)"
    )
    repeated_10grams: Share | None = Field(0.60, description="repetitive: the same, of ten words (0.10)")
    repeated_20grams: Share | None = Field(
        0.20, description="repetitive: the same for runs of twenty words, as in a repeated passage (not in the paper)"
    )

    role_markers: bool = Field(True, description="role-markers: an answer marks a speaker's turn (### Human:, [INST])")

    needs_media: bool = Field(True, description="needs-media: a question needs a missing picture, recording or page")

    personal: Personal = Field("mask", description="personal-data: mask it, drop the row, or off")
    personal_kinds: tuple[PersonalKind, ...] = Field(PERSONAL_KINDS, description="personal-data: which kinds")

    toxic: float | None = Field(
        1.0, gt=0, description="toxic: the weights of listed words in question or answer add up to at least this"
    )

    judge: bool = Field(False, description="let the base model judge quality and toxicity")
    least_quality: float | None = Field(
        2.0, ge=1, le=5, description="low-quality: the judge expects less than this on its scale from 1 to 5"
    )
    judged_toxic: Share | None = Field(0.5, description="toxic: at least this probability of the judge's yes")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: _read(name, value) for name, value in values.items()}

    @field_validator("languages")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        return tuple(sorted({known(code) for code in value})) or None


LISTS = ("languages", "personal_kinds")


def _read(name: str, text: Any) -> Any:
    """A flag's text converted for its field; text that cannot be converted is returned, for the field to reject.

    ``off`` in YAML is false.
    """
    field = CleanRules.model_fields.get(name)
    off = text is False or (isinstance(text, str) and text.strip().lower() in ("off", "none"))
    if field and off and field.annotation is not bool:
        return None if type(None) in get_args(field.annotation) else "off"
    if not isinstance(text, str):
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip()) if name in LISTS else text
