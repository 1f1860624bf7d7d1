"""The tables that travel between stages: the only place that spells a column list.

``EXAMPLE`` is the text side, one row per question. ``SCORED`` adds what the base model thinks of every
response token. ``TOKENS`` is what a trainer opens and ``META`` is the side table beside it, same rows,
same order. ``docs`` of each column stand in its field below.
"""

from typing import Literal, get_args

import pyarrow as pa

Message = dict[str, str]
"""One turn: ``role`` (system, user, assistant or tool) and ``content``."""

Origin = Literal["known", "rewritten", "corrected", "reference", "base", "given"]
"""Where a response comes from. ``known``: the model's own draft already states the reference (weight 0
everywhere). ``rewritten`` / ``corrected``: the base model's words with the reference in view. ``reference``:
the source's own wording, because no rewrite was faithful. Rehearsal rows are ``base`` (the base model's answer to
the prompt) or ``given`` (the set's answer)."""


def _rule(setting: str) -> str:
    """The remedy for rows that a rule of ``--clean`` marks: the setting that moves the rule or switches it off."""
    return f"move the rule or switch it off: --clean {setting}=off"


DROPS: dict[str, str | None] = {
    # the same question and answer, after normalisation, as an earlier row
    "duplicate": None,
    # MinHash-near to an earlier row, and states the same facts
    "near-duplicate": None,
    # another row answers the same question with other facts; both wait for a person
    "contradiction": "mend the source, which answers one question in two ways",
    # a rehearsal row that this mix does not need
    "not-sampled": "lower --ratio: this mix needs no more of them",
    # prompt, reference and response do not fit the context
    "too-long": "lower --max-tokens, for which room is kept beside a question, or raise --max-model-len",
    # no attempt stated the reference, and --fallback drop
    "unfaithful": "raise --attempts, or keep the source's wording with --fallback reference",
    # a placebo reference explains the response as well as the row's own reference does
    "template-leak": "look at the references: an answer that fits every question teaches nothing",
    # the base model gave an empty answer (rehearsal)
    "no-answer": "take a model that answers: it has to follow instructions, by the chat template of its own",
    # the base model's answer did not end its turn (rehearsal)
    "unfinished": "raise --max-tokens: these answers did not end within it",
    # nothing is marked for loss, so there is nothing to train
    "no-target": "look at the mask, which marks nothing in these rows: another --mask, or lower --thresholds",
    # of plain text; the questions asked about it are the rows
    "passage": None,
    # a question about a passage, or its answer, that does not stand; meta says why
    "refused": None,
    # holds an item of an evaluation suite (mix --decontaminate)
    "contaminated": None,
    # named by --exclude
    "excluded": "name fewer rows in the file of --exclude",
    # tells a fact that --test holds out of training
    "test": "lower --test",
    # the answer is empty, a stub ("N/A"), navigation, or only points to a page
    "boilerplate": _rule("boilerplate"),
    # the answer breaks off
    "truncated": _rule("truncated"),
    # the answer marks a speaker's turn ("### Human:", "<|im_start|>"), as a conversation that ran on
    "role-markers": _rule("role_markers"),
    # question or answer is in none of the languages asked for
    "wrong-language": "name the language of these rows among --languages",
    # fewer words than --least-words
    "too-short": _rule("least_words"),
    # more words than --most-words (too-long is about the context)
    "overlong": _rule("most_words"),
    # the answer says the same again and again
    "repetitive": _rule("repetition_words"),
    # asks for, or about, a picture, a recording or a page that a text model cannot see or open
    "needs-media": _rule("needs_media"),
    # tells an address or number of a person, and --personal drop
    "personal-data": _rule("personal"),
    # abuse or slurs, by the word list or the judge
    "toxic": _rule("toxic"),
    # the judge thinks little of the answer
    "low-quality": _rule("least_quality"),
    # "error:<Type>": a stage failed on this row alone
    "error": "mend these rows, which a stage cannot take",
}
"""Why a row is left out; and what a person can do about such rows, None where they can only be accepted."""

ORIGINS = get_args(Origin)

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
PLACE = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("gain", pa.float32()), ("own", pa.float32())])
SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("weight", pa.float32()), ("kind", pa.string())])

EXAMPLE = pa.schema(
    [
        ("id", pa.string()),  # stable: hash of source name and content (ingest.row_id)
        ("source", pa.string()),  # names a card in data_cards/, or the source file's stem
        ("prompt", pa.list_(MESSAGE)),  # up to and including the last user turn; never empty
        ("reference", pa.string()),  # the source's own answer
        ("knowledge", pa.list_(PLACE)),  # half-open characters of `reference`: its words that may be learned
        ("draft", pa.string()),  # the base model's closed-book answer
        ("response", pa.string()),  # what training imitates
        ("thought", pa.string()),  # stands before `response`, never labelled; "": kept out; null: there was none
        ("origin", pa.string()),  # Origin
        ("finished", pa.bool_()),  # the base model ended the response itself (its end of turn needs no label)
        ("spans", pa.list_(SPAN)),  # half-open characters of `response` that carry loss; the rest weighs 0
        ("flags", pa.list_(pa.string())),  # for people: "invention", "unsupported" …; nothing is dropped for them
        ("drop", pa.string()),  # null, or a reason of DROPS; rows are marked, never deleted
        ("meta", pa.string()),  # JSON object; no stage decides by it
    ]
)

SCORES = pa.schema(
    [
        # One entry per response token, the end-of-turn token last. Offsets are half-open characters of
        # `response`; the end-of-turn token has start = end = len(response).
        ("token_ids", pa.list_(pa.int32())),
        ("token_starts", pa.list_(pa.int32())),
        ("token_ends", pa.list_(pa.int32())),
        ("logp_closed", pa.list_(pa.float32())),  # log p0(y_t | x, y_<t), nats: closed book
        ("logp_reference", pa.list_(pa.float32())),  # log p0(y_t | x, c, y_<t): the reference c in view
        ("logp_placebo", pa.list_(pa.float32())),  # log p0(y_t | x, c', y_<t): placebo, another row's reference
        ("entropy", pa.list_(pa.float32())),  # closed book, nats, from the top-k and the tail as one bucket
        ("top_ids", pa.list_(pa.list_(pa.int32()))),  # closed-book top-k, best first
        ("top_logprobs", pa.list_(pa.list_(pa.float32()))),
        ("reference_argmax", pa.list_(pa.int32())),  # best token with the reference in view
    ]
)
SCORED = pa.schema([*EXAMPLE, *SCORES])

TOKENS = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("attention_mask", pa.list_(pa.int8())),
        ("labels", pa.list_(pa.int32())),  # unshifted, -100 = no loss, unpadded
    ]
)

META = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("origin", pa.string()),
        ("objective", pa.string()),  # "learn": weighted NLL on labels; "distil": KL to the base on the response
        ("spans", pa.list_(SPAN)),
        ("weights", pa.list_(pa.float32())),  # per input token, aligned with input_ids; 0 where labels = -100
        # The base model's distribution *of* the token at input_ids[anchor_start + i], from the scoring pass: that is,
        # what the logits at position anchor_start + i - 1 should stay close to. Closed book; the token itself, with
        # certainty, at tokens on the way to a label which are not the base model's likeliest.
        # One entry for every response token, the end-of-turn token included.
        ("anchor_start", pa.int32()),
        ("anchor_ids", pa.list_(pa.list_(pa.int32()))),
        ("anchor_logprobs", pa.list_(pa.list_(pa.float32()))),
    ]
)

IGNORE = -100
"""Label of a token that carries no loss (torch's cross-entropy convention)."""
