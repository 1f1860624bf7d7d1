"""Word lists, from which splices draw their random words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

from curate.config.settings import ConfigError
from curate.rehearsal.generators.generator import GeneratorInput, prompts_read, read_prints, rows_of
from curate.rehearsal.generators.sampled import sampled_texts
from curate.text.scripts import UNSPACED
from curate.text.words import words

FEWEST = 8  # least words in a list; with fewer, splices would repeat each other
SAMPLES = 256  # prompts sampled from the model to take their words
SHARE = 0.05  # least share of the build's letters for a script to count as one of the build


def word_list(inputs: GeneratorInput) -> list[str]:
    """The distinct words of the list, sorted. Splices draw them uniformly: rare words reach far from common text.

    Raises ``ConfigError`` if there are too few words.
    """
    entries = sorted(set(_WORD_LISTS[inputs.words](inputs)))
    if len(entries) < FEWEST:
        raise ConfigError(f"--splice-words {inputs.words}: only {len(entries)} words are there, which is too few; take "
                          f"another of {', '.join(_WORD_LISTS)}")  # fmt: skip
    return entries


def word_list_identity(inputs: GeneratorInput) -> dict[str, Any]:
    """What the list depends on besides the build, as part of a generator's identity."""
    if inputs.words == "rehearsal":
        return {"words": inputs.words, "read": read_prints(inputs)}
    if inputs.words == "vocabulary":
        return {"words": inputs.words, "tokenizer": inputs.base.template.tokenizer_hash}
    return {"words": inputs.words, **(inputs.base.identity() if inputs.words == "self" else {})}


def _new(inputs: GeneratorInput) -> Iterable[str]:
    rows = [row for row in rows_of(inputs.built) if row.role == "new"]
    texts = [text for row in rows for text in (*(m["content"] for m in row.prompt), row.reference)]
    return words_in(texts, inputs.lang)


def _rehearsal(inputs: GeneratorInput) -> Iterable[str]:
    if not inputs.read:
        raise ConfigError("--splice-words rehearsal: no other rehearsal set is read here; give one (--rehearsal dolly),"
                          f" or take another of {', '.join(_WORD_LISTS)}")  # fmt: skip
    return words_in((m["content"] for prompt in prompts_read(inputs) for m in prompt), inputs.lang)


def _self(inputs: GeneratorInput) -> Iterable[str]:
    return words_in(sampled_texts(inputs, SAMPLES), inputs.lang)


def _vocabulary(inputs: GeneratorInput) -> Iterable[str]:
    """Entries of the tokenizer's vocabulary that can stand as a word, in the scripts that the build is written in."""
    main = main_scripts(row.question for row in rows_of(inputs.built) if row.role == "new")
    return (word for word in vocabulary_words(inputs.base.template.tokenizer) if scripts(word).keys() <= main)


_WORD_LISTS = {"new": _new, "rehearsal": _rehearsal, "vocabulary": _vocabulary, "self": _self}


def words_in(texts: Iterable[str], lang: str) -> set[str]:
    """The words of texts as written, without punctuation and numbers.

    >>> sorted(words_in(["Take 37 mg, then well-known pills."], "en"))
    ['Take', 'mg', 'pills', 'then', 'well-known']
    """
    written = (word.text for text in texts for word in words(text, lang))
    return {word for word in written if word[0].isalpha() and word[-1].isalpha()}


def vocabulary_words(tokenizer: Any) -> list[str]:
    """Whole words among a tokenizer's entries, sorted: entries that begin with a space (``Ġ``, ``▁``) if the tokenizer
    marks spaces, else entries that continue no other (``##``); in scripts without spaces every entry of letters."""
    entries = sorted(set(tokenizer.get_vocab()) - {str(token) for token in tokenizer.added_tokens_decoder.values()})
    spaced = any(entry[0] in "Ġ▁" for entry in entries)
    accepted = set()
    for entry in entries:
        text = str(tokenizer.convert_tokens_to_string([entry])).strip()
        begins = entry[0] in "Ġ▁" if spaced else not entry.startswith("##")
        whole = (begins and len(text) > 1) or re.fullmatch(f"[{UNSPACED}]+", text)
        if text and whole and all(_letter(c) for c in text):
            accepted.add(text)
    return sorted(accepted)


def _letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"


def scripts(text: str) -> Counter[str]:
    """Number of letters of each script.

    >>> scripts("Dosis β-2 東京")
    Counter({'LATIN': 5, 'CJK': 2, 'GREEK': 1})
    """
    names = (unicodedata.name(c, "UNNAMED") for c in text if c.isalpha())
    return Counter(re.split(r"[ -]", name)[0] for name in names)


def main_scripts(texts: Iterable[str]) -> set[str]:
    """The scripts that have at least ``SHARE`` of the letters."""
    counted = sum((scripts(text) for text in texts), Counter())
    return {script for script, letters in counted.items() if letters >= SHARE * counted.total()}
