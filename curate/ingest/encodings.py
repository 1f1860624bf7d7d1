"""Name the likely encoding of bytes that do not decode as the user said. For error messages only: readers never guess
an encoding."""

import codecs
import itertools

BOMS = {  # the longer marks first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x84\x31\x95\x33": "gb18030",
}

# The encodings of most files. charset-normalizer knows many more, and prefers rare ones on short texts.
CANDIDATES = ["gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1252", "cp1250", "cp1253", "cp1254",
              "cp1255", "cp1256", "cp874"]  # fmt: skip

ACCENTED = set("àâäáãåæçéèêëíìîïñóòôöõøœúùûüÿßÀÂÄÁÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜŸ")
SIGNS = set("€‚„…†‡‰‹‘’“”•–—›™¡£§©ª«®°±²³µ¶·º»¼½¾¿×÷\xa0\xad")


def marked(head: bytes) -> str | None:
    """The encoding that a byte-order mark at the start announces."""
    return next((name for bom, name in BOMS.items() if head.startswith(bom)), None)


def unmarked_wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: every ASCII character brings zero bytes, always in the same places.

    >>> unmarked_wide("question".encode("utf-16-le")), unmarked_wide(b"question")
    ('utf-16-le', None)
    """
    head = head[: len(head) // 4 * 4]
    if not head or head.count(0) < len(head) / 4:
        return None
    zeros = [head[start::4].count(0) * 4 > len(head) / 2 for start in range(4)]
    patterns = {(False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
                (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be"}  # fmt: skip
    return patterns.get((zeros[0], zeros[1], zeros[2], zeros[3]))


def name_encoding(sample: bytes) -> str | None:
    """The likely encoding of bytes that are not UTF-8: ``None`` if unknown, ``"utf-8"`` if only a few are damaged.

    ``sample`` should be whole lines. charset-normalizer decides, except where it is unsure about short texts:
    Western European text is cp1252, Russian in its usual case is cp1251, text with kana is cp932, and cp1252 wins among
    its look-alikes.
    """
    from charset_normalizer import from_bytes

    text = sample.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(ord(char) > 127 for char in text) - bad
    cut = bad == 1 and text.endswith("\ufffd")
    if good and (good >= 2 * bad or cut):
        return "utf-8"
    for encoding, reads in (("cp1252", _western), ("cp1251", _russian), ("cp932", _japanese)):
        if _decodes(sample, encoding) and reads(sample.decode(encoding)):
            return encoding
    best = from_bytes(sample, cp_isolation=CANDIDATES).best()
    if best is None:
        return None
    return "cp1252" if "cp1252" in best.could_be_from_charset else best.encoding


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _western(text: str) -> bool:
    """Whether this is a Western European language: its accents stand alone, among plain letters.

    Other alphabets fill whole words with bytes above 127; Polish would show signs such as ³ inside words.
    """
    text = f" {text} "
    wide = [index for index, char in enumerate(text) if ord(char) > 127]
    if not all(text[index] in ACCENTED or text[index] in SIGNS for index in wide):
        return False
    inside = [index for index in wide if text[index - 1].isalpha() and text[index + 1].isalpha()]
    if any(text[index] in SIGNS - set("’·\xad") for index in inside):
        return False
    return sum(text[index - 1] in ACCENTED for index in wide) < 0.3 * len(wide)


def _russian(text: str) -> bool:
    """Whether this is Cyrillic, in whole words, with capitals at their beginning: KOI8-R swaps the cases, Greek has
    capitals inside, Hebrew has no such letters as ы, ь, я."""
    wide = [char for char in text if ord(char) > 127]
    lower = sum("а" <= char <= "я" for char in wide)
    pairs = [(before, after) for before, after in itertools.pairwise(text) if "А" <= after <= "я"]
    together = sum("А" <= before <= "я" for before, _ in pairs)
    turned = sum(before.islower() and after.isupper() for before, after in pairs)
    common = not {"ы", "ь", "э", "ю", "я"}.isdisjoint(wide)
    return common and lower > 0.6 * len(wide) and together > 0.6 * len(pairs) and turned < 0.02 * lower


def _japanese(text: str) -> bool:
    """Whether full-width kana are a good part of what is not ASCII."""
    wide = [char for char in text if ord(char) > 127]
    return sum("\u3041" <= char <= "\u30fc" for char in wide) > 0.2 * len(wide)
