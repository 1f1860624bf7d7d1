"""The schemas of the tables passed between stages, and every reason for leaving something out; no other module spells
a column list or a reason.

``EXAMPLE`` has the texts, one row per question. ``SCORED`` adds the base model's scores of every response token.
``TOKENS`` is the table that a trainer opens and ``META`` is the side table beside it, same rows, same order. Each
column is documented beside its field below.
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
    # no rewrite stated the reference, and --fallback drop
    "unfaithful": "raise --attempts, or keep the source's wording with --fallback reference",
    # a placebo reference explains the response as well as the row's own reference does
    "template-leak": "look at the references: an answer that fits every question teaches nothing",
    # the base model gave an empty answer (rehearsal)
    "no-answer": "take a model that answers: it has to follow instructions, by the chat template of its own",
    # the base model's answer was cut in a loop, or its thought did not end (rehearsal)
    "unfinished": "raise --max-tokens if the model thinks; answers that loop cannot be used: take other prompts",
    # nothing is marked for loss, so there is nothing to train
    "no-target": "look at the mask, which marks nothing in these rows: another --mask, or lower --thresholds",
    # a passage of plain text; the questions asked about the passage are the rows
    "passage": None,
    # a question about a passage, or its answer, that failed a check; meta says which
    "refused": None,
    # holds an item of an evaluation suite (mix --decontaminate)
    "contaminated": None,
    # named by --exclude
    "excluded": "name fewer rows in the file of --exclude",
    # states a fact that --test holds out of training
    "test": "lower --test",
    # the answer is empty, a stub ("N/A"), navigation, or only points to a page
    "boilerplate": _rule("boilerplate"),
    # the answer breaks off
    "truncated": _rule("truncated"),
    # the answer contains a turn marker ("### Human:", "<|im_start|>"), as in a conversation that ran on
    "role-markers": _rule("role_markers"),
    # question or answer is in none of the languages asked for
    "wrong-language": "name the language of these rows among --languages",
    # fewer words than --clean least_words
    "too-short": _rule("least_words"),
    # more words than --clean most_words (too-long is about the context)
    "overlong": _rule("most_words"),
    # the answer repeats itself
    "repetitive": _rule("repetition_words"),
    # asks for, or about, a picture, a recording or a page that a text model cannot see or open
    "needs-media": _rule("needs_media"),
    # holds a person's address or number, and --clean personal=drop
    "personal-data": _rule("personal"),
    # abuse or slurs, by the word list or the judge
    "toxic": _rule("toxic"),
    # the judge rates the answer low
    "low-quality": _rule("least_quality"),
    # "error:<Type>": a stage failed on this row alone
    "error": "mend these rows, which a stage cannot take",
}
"""Reasons for leaving a row out, each with a remedy for people; None where there is no remedy."""

ORIGINS = get_args(Origin)

RecordReason = Literal[
    "not-json",  # the line is not one JSON value
    "not-an-object",  # JSON, but a list, a text or a number where a record should stand
    "broken-csv",  # a quoted field is not closed properly
    "wrong-field-count",  # more fields than the header has names (an unquoted comma)
    "line-too-long",  # longer than textfile.LINE_LIMIT characters
    "missing-field",  # the question or the answer column is not in this record
    "wrong-type",  # a number, list or object where text should stand; an unknown role
    "empty-question",  # null, or nothing visible in it
    "empty-answer",
    "empty-text",
    "unsupported",  # has pictures, recordings or parts to learn, which are not passed to the model
    "missing-turns",  # a conversation in which somebody did not answer
    "reserved-character",  # U+FDD0–FDEF, which rendering uses as markers, or a lone surrogate
    "longer-than-context",  # the caller's `fits` returned False
    "unreadable",  # a value of a Parquet or Arrow row cannot be converted
    "truncated-file",  # a compressed or Arrow file breaks off; line = where
    "unknown-format",  # a file of a folder in a format that is not supported (line 0)
    "other-split",  # a file of a folder that belongs to another split than the one asked for (line 0)
    "untrained",  # every answer in it is marked as not to be learned (weight 0, train false)
    "empty-file",  # a file of a folder without a record in it (line 0)
    "not-rows",  # a file of a folder that holds something else: settings, a suite, a manifest (line 0)
]
"""Why a record of a source is rejected."""

DuplicateReason = Literal["duplicate", "near-duplicate", "semantic-duplicate"]
"""Why `curate dedupe` drops a row that repeats another."""

ProblemKind = Literal[
    "missing-number",
    "missing-name",
    "missing-negation",
    "missing-term",
    "missing-content",
    "foreign-number",
    "foreign-name",
    "foreign-negation",  # the reference affirms what the response denies
    "leak",
    "unfinished",
    "repeated-tail",
    "empty",
]
"""How a response departs from its reference."""

PassageReason = Literal[
    "no-letters",  # only dashes, numbers or signs
    "not-prose",  # most of its visible characters are not letters: tables of numbers, formulas
    "passage-too-short",  # fewer than LEAST words: a heading alone, a caption
    "repeated-passage",  # the words of an earlier passage: a licence at the end of every file
    "no-question",  # the model wrote no question
]
"""Why nothing can be asked about a passage."""

UnaskedReason = Literal["control-text", "longer-than-context"]
"""Why the model was not asked: the prompt holds control tokens, or leaves no room for an answer."""

QuestionReason = Literal[
    "not-a-question",  # a numbered line without a question mark
    "several-questions",  # two question marks, so it would need two answers
    "question-length",  # too short (two words) or too long (a paragraph)
    "points-to-text",  # "according to the passage", "the author"
    "no-subject",  # "What did he do?": unclear without the passage
    "foreign-name",  # a name or a number that the passage does not have
    "foreign-number",
    "repeated-question",  # has the same content words as an earlier question of this passage
]
"""Why a question about a passage is rejected."""

AnswerReason = (
    UnaskedReason
    | ProblemKind
    | Literal[
        "unanswered",  # says that there is no answer
        "says-nothing",  # adds nothing to the question
        "ungrounded",  # uses words that are neither in the passage nor in the question
        "displaced-number",  # a number that the passage states about something else
    ]
)
"""Why an answer about a passage is rejected."""

PromptReason = (
    UnaskedReason
    | Literal[
        "unfinished",  # a sampled prompt that did not end its turn
        "broken-text",  # a sampled prompt that is not UTF-8
        "empty",
        "no-entity",  # a row of the build without a named entity
        "asked-in-build",  # a question of the build, whose answer training changes
        "duplicate",
    ]
)
"""Why a generated prompt is rejected."""

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
PLACE = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("gain", pa.float32()),
        ("own", pa.float32()),
        ("wording", pa.bool_()),
    ]
)
SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("weight", pa.float32()), ("kind", pa.string())])

EXAMPLE = pa.schema(
    [
        ("id", pa.string()),  # stable: hash of source name and content (ingest.row_id)
        ("source", pa.string()),  # names a card in data_cards/, or the source file's stem
        ("wording_of", pa.string()),  # the id of the row whose question or answer this row words otherwise; else null
        ("prompt", pa.list_(MESSAGE)),  # up to and including the last user turn; never empty
        ("reference", pa.string()),  # the source's own answer
        ("knowledge", pa.list_(PLACE)),  # half-open character ranges of `reference` whose words may be learned
        ("draft", pa.string()),  # the base model's closed-book answer
        ("response", pa.string()),  # what training imitates
        ("thought", pa.string()),  # stands before `response`, never labelled; "": kept out; null: there was none
        ("origin", pa.string()),  # Origin
        ("finished", pa.bool_()),  # the base model ended the response itself; a cut answer's end is not trained
        ("spans", pa.list_(SPAN)),  # half-open character ranges of `response` that carry loss; the rest weighs 0
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
        # certainty, at tokens on the way to a label which the base model says with p < 0.5, and with the reference in
        # view with p >= 0.01.
        # One entry for every response token, the end-of-turn token included.
        ("anchor_start", pa.int32()),
        ("anchor_ids", pa.list_(pa.list_(pa.int32()))),
        ("anchor_logprobs", pa.list_(pa.list_(pa.float32()))),
    ]
)

IGNORE = -100
"""Label of a token that carries no loss (torch's cross-entropy convention)."""
