"""Invent names that look like given names but belong to nobody."""

import random
import unicodedata
from collections.abc import Collection, Sequence

VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")
TRIES = 20


def invent(name: str, others: Sequence[str], taken: Collection[str], chance: random.Random) -> str | None:
    """A new name built like ``name`` from syllables of ``name`` and ``others``; first syllables stay first, last ones
    last. Words that several names share ("Labs", "syndrome") stay. ``taken``: case-folded words that a new word must
    not equal. None if no new word is found.
    """
    parts = name.split()
    common = {part for part in parts if sum(part in other.split() for other in {*others, name}) > 1}
    fresh = [part for part in parts if part not in common] or parts
    stock = sorted({part for other in {*others, name} for part in other.split() if part not in common})
    new_words = {part: _word(part, stock or [part], taken, chance) for part in fresh}
    if not any(new_words.values()):
        return None
    return " ".join(new_words.get(part) or part for part in parts)


def _word(word: str, stock: Sequence[str], taken: Collection[str], chance: random.Random) -> str | None:
    for _ in range(TRIES):
        new = _renumbered(word, chance) if any(c.isdigit() for c in word) else _recombined(word, stock, chance)
        new = _cased_like(word, new)
        if new.casefold() not in taken and new.casefold() != word.casefold():
            return new
    return None


def _renumbered(word: str, chance: random.Random) -> str:
    """A code with the same letters and random digits."""
    return "".join(chance.choice("0123456789") if c.isdigit() else c for c in word)


def _recombined(word: str, stock: Sequence[str], chance: random.Random) -> str:
    pieces = [parts for parts in (syllables(other) for other in stock) if len(parts) > 1]
    word_parts = syllables(word)
    if len(pieces) < 3:  # too few words to keep first and last syllables in place: mix all
        every = [piece for parts in [*pieces, word_parts] for piece in parts]
        return "".join(chance.choice(every) for _ in range(max(2, len(word_parts))))
    middle = [piece for parts in pieces for piece in parts[1:-1]] or [parts[0] for parts in pieces]
    inner = [chance.choice(middle) for _ in range(max(2, len(word_parts)) - 2)]
    return "".join([chance.choice(pieces)[0], *inner, chance.choice(pieces)[-1]])


def syllables(word: str) -> list[str]:
    """Split a word into pieces, each but the last ending before a consonant that a vowel follows; into characters if it
    has no vowels.

    >>> syllables("Velotrin"), syllables("Labs"), syllables("高血压")
    (['Ve', 'lot', 'rin'], ['Labs'], ['高', '血', '压'])
    """
    vowel = [_plain(c) in VOWELS for c in word]
    if not any(vowel):
        return list(word)
    pieces, start = [], 0
    for i in range(1, len(word) - 1):
        if any(vowel[start:i]) and not vowel[i] and vowel[i + 1]:
            pieces.append(word[start:i])
            start = i
    return [*pieces, word[start:]]


def _plain(character: str) -> str:
    """The character without accents and case."""
    return unicodedata.normalize("NFD", character.casefold())[:1]


def _cased_like(word: str, new: str) -> str:
    letters = [c for c in word if c.isalpha()]
    if len(letters) > 1 and all(c.isupper() for c in letters):
        return new.upper()
    return new[:1].upper() + new[1:].lower() if word[:1].isupper() else new.lower()
