"""Boilerplate: answers without content, such as "see the link", navigation, "N/A" or a data set's placeholder."""

import re

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.text.words import sentences

# Whole answers. "No", "none", "unknown" and "Na" may be right answers, so they are not listed.
_STUB = re.compile(
    r"\W*(?:n\s?/\s?a|#n/a|<?\s*no[ _-]?(?:in|out)put\s*>?|no (?:answer|response|content|data|text|information)"
    r"(?: (?:available|provided|given|found))?|not (?:available|applicable)|(?:tbd|tba|to be (?:determined|announced"
    r"|added|completed))|lorem ipsum.*|(?:see|as) (?:above|below)|(?:your )?(?:answer|text|output) (?:goes )?here"
    r"|(?:placeholder|todo|asdf+|xxx+|\.\.\.+|--+|__+|\?\?+)|(?:please )?(?:see|click|follow|visit|check|open|read)"
    r" (?:on )?(?:the |this |that )?(?:link|here|website|attachment|attached(?: file)?|page|url)s?(?: (?:below|above"
    r"|for (?:details|more|the answer)))?|không có(?: (?:câu trả lời|thông tin|dữ liệu))|xem (?:liên kết|link|tại đây)"
    r"|无|暂无|无答案|见链接|查看链接)\W*",
    re.IGNORECASE | re.DOTALL,
)
_ONLY_ADDRESS = re.compile(r"\W*(?:(?:https?://|www\.)\S+\W*)+", re.IGNORECASE)

_DEBRIS = re.compile(
    r"\bclick here\b|(?:^|\bplease )click (?:on )?(?:the |this |each )?(?:links?|buttons?|tabs?|names?|below|above)\b"
    r"|\b(?:see|follow|visit|use|view|check)(?: out)? (?:the |this |our |these )?(?:following )?"
    r"(?:links?|web ?sites?|web ?pages?|home ?page|url)\b"
    r"|^(?:please )?(?:see|visit|go to|read)\b.{0,80}(?:https?://|www\.)"
    r"|(?<!\()(?<!\(see )(?<!\(source: )\b(?:https?://|www\.)\S+\W*$"
    r"|^these resources (?:address|from|provide|offer)\b"
    r"|^(?:please )?(?:for|to (?:get|find|read|learn|see|find out)) (?:more|further|additional|other)\b.{0,120}"
    r"\b(?:see|visit|click|go to|call|check|refer|available|http|www)"
    r"|\b(?:more|further|additional) (?:\w+ )?information\b.{0,80}\b(?:available|found) (?:at|on|from|in)\b"
    r"|^(?:read|learn|see|show|view|load) (?:more|less|all)\W*$"
    r"|^(?:skip to (?:main )?content|back to (?:top|home)|top of page|home|menu|next|previous|search|print|mail this"
    r"|share(?: this)?(?: (?:on|via) \w+)?|tweet|log ?in|sign (?:in|up)|subscribe|contact us|about us|privacy policy"
    r"|terms of (?:use|service)|site ?map|advertisement|related (?:links|articles|topics))\W*$"
    r"|\b(?:accept|uses?) (?:all )?cookies\b|cookie policy|\ball rights reserved\b|^(?:©|\(c\)|copyright)\s"
    r"|\benable javascript\b|\blorem ipsum\b|\bsubscribe to (?:our|the)\b|\bfollow us on\b|\bpage not found\b"
    r"|\b404 error\b"
    r"|^\W*\d+\. (?:instruction|input|output):"
    r"|\bas an ai(?: language)? (?:model|assistant)\b"
    r"|\b(?:xem thêm|xem chi tiết) tại\b|\bnhấp(?: vào)? (?:đây|liên kết)\b|点击(?:这里|链接|查看)|查看更多|阅读更多"
    r"|版权所有",
    re.IGNORECASE,
)
LONGEST = 200
"""Most characters that a matching sentence counts for: without full stops a whole page may look like one sentence, and
a sentence that states something may end in the address of its source."""
# An address is a right answer to a question for a page or a contact.
_ASKED = re.compile(
    r"\bcontact|\blearn more\b|\bwhere (?:can|do|could|should|might)\b|\burls?\b"
    r"|\b(?:find|list|give|name|suggest|recommend|provide|share|look up|what|which)\b.{0,60}"
    r"\b(?:pages?|(?:web ?)?sites?|links?|blogs?|bloggers?|articles?|resources?|organi[sz]ations?)\b",
    re.IGNORECASE,
)

# An answer of nothing but an address is right if the question names a thing that has an address, in many languages.
_ADDRESSED = re.compile(
    r"\bwhere\b|\baddress|\bhome ?page|\b(?:web ?)?(?:sites?|pages?)\b|\b(?:web|online|internet|portal|domain|host\w*|"
    r"endpoint|hyperlink|permalink|download\w*|repo|repositor\w+|docs?|documentation|registry|doi|uri|urls?|links?|"
    r"feed|source code|stream|profile|channel)\b"
    r"|\b(?:adress\w*|seite|webseite|lien|site|dépôt|enlace|direcci[óo]n|página|sitio|indirizzo|sito|collegamento|"
    r"endereço|ligação|koppeling|adres\w*|strona|odkaz|stránk\w*|länk|lenke|osoite|sivusto|cím|oldal)\b"
    r"|адрес|сайт|ссылк|посилання|địa chỉ|trang (?:web|chủ)|liên kết|网址|網址|链接|連結|网站|網站|主页|"
    r"サイト|リンク|アドレス|ホームページ|주소|링크|사이트|홈페이지|عنوان|رابط|موقع|نشانی|پیوند|כתובת|קישור|אתר|διεύθυνση|σύνδεσμο|ιστοσελίδα|"
    r"वेबसाइट|लिंक|পতা|ওয়েবসাইট|লিংক|ที่อยู่|เว็บไซต์|ลิงก์|alamat|tautan|situs",
    re.IGNORECASE,
)

_LIST_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s")


def boilerplate(question: str, text: str, rules: CleanRules) -> Finding | None:
    if rules.boilerplate is None:
        return None
    if not text.strip() or _STUB.fullmatch(text):
        return Finding("boilerplate", 1.0, f"nothing but {_cut(text)!r}")
    if _ASKED.search(question):
        return None
    if _ONLY_ADDRESS.fullmatch(text):
        if _ADDRESSED.search(question):
            return None
        return Finding("boilerplate", 1.0, f"nothing but {_cut(text)!r}")
    share, first = debris(text)
    return Finding("boilerplate", round(share, 3), _cut(first)) if share and share >= rules.boilerplate else None


def debris(text: str) -> tuple[float, str]:
    """The share of characters in sentences that only point elsewhere, with the list items under them, and the first
    such sentence.

    >>> debris("Click here for the list. It is red.")[0]
    0.7058823529411765
    """
    characters, first, under = 0, "", False
    spans = sentences(text)
    for span in spans:
        under = (under and bool(_LIST_ITEM.match(span.text))) or bool(_DEBRIS.search(span.text))
        if under:
            characters += min(len(span.text), LONGEST)
            first = first or span.text
    return characters / max(1, sum(len(span.text) for span in spans)), first


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:79]}…"
