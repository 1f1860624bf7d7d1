"""Plain text to questions and answers: every character accounted for, and only what the passage says kept."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.ingest import Source, SourceError
from curate.model.base import find_base
from curate.model.engine import Completion, EngineConfig
from curate.model.prompts import FOLDER
from curate.model.template import load_template
from curate.passages import PlainText, Plan, check_documents, estimate, load_passages
from curate.passages.ask import PASSAGE, REFUSED, TRIES
from curate.passages.grounded import ungrounded
from curate.passages.load import counter, passage_size
from curate.passages.questions import parse, problem, repeats
from curate.passages.read import PassageCounts, passages, unfit
from curate.passages.split import blocks, pieces
from curate.schema import DROPS
from curate.store.files import REJECTED, read_dataset
from curate.store.json_files import read_json
from curate.store.manifest import Manifest
from curate.store.runner import TooManyDrops, run_stage
from tests.paths import BASE, DATA, needs_data

FRAMES = {name: (FOLDER / f"{name}.jinja").read_text(encoding="utf-8") for name in ("questions", "grounded", "rewrite")}
LIMITS = {"tokenizer": "t", "context": 2048}


def spoken(text: str) -> int:
    return len(text.split())


# ---- a document in pieces


BOOK = """# Oslo

Oslo is the capital
of Norway and was founded in 1040.
It is old.

## Trade

- timber
- ships

```
# no heading
```

Bergen
------

Rain falls there on 239 days.
"""


def test_headings_paragraphs_lists_and_code_are_told_apart():
    heads = [(b.level, b.title or BOOK[b.start : b.end].strip().split("\n")[0]) for b in blocks(BOOK)]
    assert heads == [(1, "Oslo"), (0, "Oslo is the capital"), (2, "Trade"), (0, "- timber"), (0, "```"), (2, "Bergen"),
                     (0, "Rain falls there on 239 days.")]  # fmt: skip


def test_pieces_know_the_headings_above_them_and_join_wrapped_lines():
    sections = [(piece.trail, piece.text) for piece in pieces(BOOK, spoken, 20)]
    assert sections == [
        (("Oslo",), "# Oslo\n\nOslo is the capital of Norway and was founded in 1040.\nIt is old."),
        (("Oslo", "Trade"), "## Trade\n\n- timber\n- ships\n\n```\n# no heading\n```"),
        (("Oslo", "Bergen"), "Bergen\n------\n\nRain falls there on 239 days."),
    ]


def test_a_long_paragraph_is_cut_at_sentences_and_a_long_sentence_at_spaces():
    text = "One two three four. Five six seven. Then " + "word " * 20
    assert [piece.text for piece in pieces(text, spoken, 8)][:1] == ["One two three four. Five six seven."]
    assert all(spoken(piece.text) <= 8 for piece in pieces(text, spoken, 8))
    assert all(len(piece.text) <= 8 for piece in pieces("ab" * 50, len, 8))  # nothing to cut at


lines = st.lists(
    st.one_of(
        st.sampled_from(["", " ", "# Title", " = = Career = = ", "===", "---", "```", "- item", "Name", "\r", "\x0c"]),
        st.text("aB. \t#=1é漢。\u2028", max_size=60),
    ),
    max_size=30,
)


@given(lines, st.integers(1, 40), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_the_pieces_of_any_text_tile_it(parts, size, newline):
    text = newline.join(parts)
    cut = list(pieces(text, spoken, size))
    assert [piece.start for piece in cut] + [len(text)] == [0, *(piece.end for piece in cut)] or (not cut and not text)
    for piece in cut:
        assert piece.text.split() == text[piece.start : piece.end].split()


@needs_data
def test_a_real_corpus_is_cut_whole_and_within_the_size():
    text = (DATA / "text" / "wikitext2_test.txt").read_text(encoding="utf-8")[:300_000]
    cut = list(pieces(text, spoken, 200))
    assert [0, *(piece.end for piece in cut)] == [*(piece.start for piece in cut), len(text)]
    assert max(spoken(piece.text) for piece in cut) <= 200
    assert cut[2].trail == ("Robert <unk>", "Career", "2000 – 2005")
    assert Counter(unfit(piece.text) for piece in cut)[None] >= 0.95 * len(cut)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("* * * --- 12", "no-letters"),
        ("= = Career = =", "passage-too-short"),
        ("| 1.5 | 2.75 | a | 1.5 | b | 2.75 | 3.125 | c | 4 | 5 | 6 | 7.5 | 8.5 |", "not-prose"),
        ("Oslo is the capital of Norway and was founded in the year 1040.", None),
        ("奥斯陆是挪威的首都，建于一零四零年，人口七十万。", None),
        ("ओस्लो नॉर्वे की राजधानी है और इसकी स्थापना एक हजार चालीस में हुई थी और यह पुराना है", None),
    ],
)
def test_what_is_no_passage_and_why(text, reason):
    assert unfit(text, "zh" if "奥" in text else "en") == reason


def test_every_character_of_a_corpus_is_in_a_passage_or_counted_with_a_reason(tmp_path):
    prose = "Harlow Labs of Oslo has made Zorvex since 1994. It treats swollen knees in 37 of 100 patients."
    files = {"a.md": f"# Zorvex\n\n{prose}\n\n# Index\n\n1 2 3 4 5 6\n", "b.txt": f"\n\n{prose}\n",
             "b2.txt": f"{prose}\n", "c.rst": " \n",
             "d.jsonl": json.dumps({"text": f"Vel.\n\n{prose} Really."}) + '\n{"body": "x"}\nnot json\n',
             "e.bin": "x"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    counts = PassageCounts()
    rows = list(passages(Source(path=str(tmp_path)), "text", 40, spoken, "en", counts))
    assert Counter(counts.reasons) == {"repeated-passage": 1, "passage-too-short": 1, "empty-text": 1,
                                      "missing-field": 1, "not-json": 1, "unknown-format": 1}  # fmt: skip
    read = files["a.md"] + files["b.txt"] + files["b2.txt"] + f"Vel.\n\n{prose} Really."
    assert counts.documents == 4
    assert counts.characters.total() == len(read)
    metas = [json.loads(row["meta"]) for row in rows]
    assert [(meta["file"], meta["line"]) for meta in metas] == [("a.md", 1), ("b.txt", 3), ("d.jsonl", 1)]
    assert rows[0]["prompt"] == [{"role": "user", "content": "Zorvex"}]
    for row, text in zip(rows, (files["a.md"], files["b.txt"], f"Vel.\n\n{prose} Really."), strict=True):
        meta = json.loads(row["meta"])
        assert text[meta["start"] : meta["end"]].strip() == row["reference"]
    repeated = next(item for item in counts.rejected if item["reason"] == "repeated-passage")
    assert (repeated["file"], repeated["line"]) == ("b2.txt", 1)


# ---- what a model writes


@pytest.mark.parametrize(
    ("reply", "questions"),
    [
        ("1. Who made it?\n2) When was it sold?\n(3) Where?", ["Who made it?", "When was it sold?", "Where?"]),
        ("Sure! Here are 3 questions:\n\n- Who made it?\n* Where is Oslo?\n\nBye!", ["Who made it?", "Where is Oslo?"]),
        ("Q1: Who made it?\nA1: Harlow Labs.\n**Question 2:** Where is Oslo?\nAnswer: In Norway, why?",
         ["Who made it?", "Where is Oslo?"]),
        ('```json\n["Who made it?", "Where is Oslo?"]\n```', ["Who made it?", "Where is Oslo?"]),
        ('[{"question": "Who made it?", "answer": "Harlow"}]', ["Who made it?"]),
        ("1. Who made it? 2. Where is Oslo? 3. Wh", ["Who made it?", "Where is Oslo?", "Wh"]),
        ('1. "Who made \'Zorvex\'?" (easy)', ["Who made 'Zorvex'?"]),
        ("1. Explain how it works.", ["Explain how it works."]),
        ("1. 谁制造了它？\n2. 奥斯陆在哪里？", ["谁制造了它？", "奥斯陆在哪里？"]),
        ("1. 3.5 mg is whose dose?", ["3.5 mg is whose dose?"]),
        ("The passage is about a drug.", []),
        ("", []),
        ("[" * 5000, []),
    ],
)  # fmt: skip
def test_questions_are_found_however_they_are_listed(reply, questions):
    assert list(parse(reply)) == questions


@given(st.text('Q1.A:?-*[]"{}\n abcé？'))
def test_any_reply_can_be_read(reply):
    for question in parse(reply):
        problem(question, "Oslo is old.")


TEXT = (
    "Zorvex\n\nHarlow Labs of Oslo has made Zorvex since 1994. It treats swollen knees in 37 of 100 patients. "
    "The film Knees was made by Ada Berg in 2003 for 12 million dollars, and told of the trial. Zorvex must not be "
    "given to children. Its side effects are dizziness and a dry mouth."
)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Since when has Harlow Labs made Zorvex?", None),
        ("What does Zorvex treat, and why do patients take it?", None),
        ("Why do patients stop when they feel dizziness?", None),
        ("According to the passage, who makes Zorvex?", "points-to-text"),
        ("What does the author say about Zorvex?", "points-to-text"),
        ("Who is the author of Knees?", None),
        ("Which side effects are mentioned?", "points-to-text"),
        ("When was it made?", "no-subject"),
        ("What did he do in 2003?", "no-subject"),
        ("Who directed her film?", "no-subject"),
        ("What does this drug treat?", "no-subject"),
        ("What was the film about?", "no-subject"),
        ("What was the film Knees about?", None),
        ("What happened next?", "no-subject"),
        ("Who made Velotrin?", "foreign-name"),
        ("Why was Zorvex sold in 1987?", "foreign-number"),
        ("Who made Zorvex? And when?", "several-questions"),
        ("Name the maker of Zorvex.", "not-a-question"),
        ("Zorvex, why?", "question-length"),
        ("Zorvex " * 60 + "?", "question-length"),
    ],
)
def test_a_question_has_to_stand_alone_and_to_come_from_the_passage(question, reason):
    refusal = problem(question, TEXT)
    assert (refusal.reason if refusal else None) == reason


def test_the_same_question_in_another_order_is_a_repeat_and_another_question_word_is_not():
    assert repeats("When was Zorvex first made?", "When was first Zorvex made?")
    assert not repeats("When was Zorvex made?", "Who made Zorvex?")


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Since when has Zorvex been made?", "Zorvex has been made since 1994.", None),
        ("Since when has Zorvex been made?", "1994", None),
        ("Who makes Zorvex?", "Zorvex is made by Harlow Labs, which is in Oslo.", None),
        ("How many patients does Zorvex help?", "It treats swollen knees in 37 % of patients.", None),
        ("Who may not take Zorvex?", "Zorvex must not be given to children.", None),
        ("Since when has Zorvex been made?", "Zorvex has been made since 1995.", "foreign-number"),
        ("How many patients does Zorvex help?", "It helps seven patients.", "foreign-number"),
        ("Who makes Zorvex?", "Zorvex is made by Velmora Corp in Oslo.", "foreign-name"),
        ("What does Zorvex treat?", "It treats migraine.", "ungrounded"),
        ("What does Zorvex treat?", "The passage does not say.", "unanswered"),
        ("What is its price?", "I cannot determine the price of Zorvex.", "unanswered"),
        ("What is the price of Zorvex?", "Not mentioned.", "unanswered"),
        ("What does Zorvex treat?", "According to the passage, it treats swollen knees.", "leak"),
        ("What does Zorvex treat?", "Zorvex treats.", "says-nothing"),
        ("What does Zorvex treat?", "", "empty"),
        ("What does Zorvex treat?", "swollen knees " * 9, "repeated-tail"),
        (
            "When was the film Knees made by Ada Berg?",
            "The film Knees was made by Ada Berg in 1994.",
            "displaced-number",
        ),
    ],
)
def test_an_answer_says_nothing_that_the_passage_does_not(question, answer, reason):
    refusal = ungrounded(answer, True, question, TEXT)
    assert (refusal.reason if refusal else None) == reason


def test_an_answer_that_never_ends_is_none():
    assert ungrounded("Zorvex treats swollen knees", False, "What does Zorvex treat?", TEXT).reason == "unfinished"


@needs_data
def test_of_answers_people_wrote_to_a_passage_many_are_kept_and_to_another_passage_hardly_any():
    """Half of these answers say things that their passage does not; refusing some right ones is the price."""
    rows = [json.loads(line) for line in (DATA / "rehearsal" / "dolly_15k.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row.get("category") == "closed_qa" and row.get("context")][:150]
    own = [ungrounded(r["response"], True, r["instruction"], r["context"]) for r in rows]
    other = [ungrounded(r["response"], True, r["instruction"], rows[i - 7]["context"]) for i, r in enumerate(rows)]
    assert own.count(None) >= 0.45 * len(rows)
    assert other.count(None) <= 0.02 * len(rows)


# ---- through a model


@dataclass(frozen=True)
class FakeConfig:
    max_model_len: int = 2048


@dataclass
class Instruct:
    """Answers as an instruct model does, well or badly: ``questions`` by a word of the passage, ``answers`` by
    question. A reply that ends in "…" never ends. ``dies``: the call at which the process is killed."""

    questions: dict[str, str]
    answers: dict[str, str]
    dies: int | None = None
    calls: list[list[str]] = field(default_factory=list)

    def generate(self, prompts, sampling):
        shown = [template().tokenizer.decode(ids) for ids in prompts]
        self.calls.append(shown)
        if len(self.calls) == self.dies:
            raise KeyboardInterrupt
        return [self._completion(self._reply(text, sampling.temperature)) for text in shown]

    def _reply(self, text, temperature):
        if "\nQuestion: " in text:
            question = re.search(r"\nQuestion: (.*?)<", text)[1]
            return self.answers.get(question, "The passage does not say.")
        reply = next((reply for word, reply in self.questions.items() if word in text), "I like passages.")
        return reply if not temperature else reply.replace("GREEDY", "1. Who may not take Zorvex?")

    def _completion(self, reply):
        ids = template().tokenizer.encode(reply.removesuffix("…"), add_special_tokens=False)
        return Completion(tuple(ids), finished=not reply.endswith("…"))

    def score(self, sequences, starts, top_k):
        raise AssertionError("questions and answers are judged by their text")


@dataclass(frozen=True)
class FakeBase:
    engine: Instruct
    config: FakeConfig = FakeConfig()

    @property
    def template(self):
        return template()

    def identity(self):
        return {"model": "fake"}


def template(cache: list = []):  # noqa: B006 - one tokenizer for all
    if not cache:
        cache.append(load_template(str(BASE)))
    return cache[0]


ASKED = {
    "Zorvex": "Here are three:\n1. Who makes Zorvex?\n2. What does it treat?\n"
    "3. **How many patients does Zorvex help?**\n4. Who sells Velmora?\n5. Since when has Zorvex been made?\n"
    "6. What is never looked at?",
    "Bergen": "Q: On how many days does rain fall in Bergen?\nQ: Is Bergen old?\nGREEDY",
    "Graley": "1. Which wares leave Graley by cart? 2. Which wares leave Graley by cart? 3. Wh…",
    "Tromso": "I am sorry, I cannot help with that.",
}
TOLD = {
    "Who makes Zorvex?": "Zorvex is made by Harlow Labs of Oslo.",
    "How many patients does Zorvex help?": "It treats swollen knees in 45 of 100 patients.",
    "Since when has Zorvex been made?": "Zorvex has been made since 1994.",
    "On how many days does rain fall in Bergen?": "Rain falls there on 239 days.",
    "Is Bergen old?": "",
    "Which wares leave Graley by cart?": "Amber combs leave Graley by cart…",
}
PASSAGES = {
    "zorvex.md": "# Zorvex\n\nHarlow Labs of Oslo has made it since 1994. It treats swollen knees in 37 of 100 people.",
    "bergen.txt": "Bergen is a city of Norway by the sea. Rain falls there on 239 days.",
    "graley.txt": "Merchants come to Graley for amber combs, which leave the town by cart every week.",
    "tromso.txt": "Tromso is a town far in the north, where the sun does not rise in winter.",
}


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, text in PASSAGES.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / "index.txt").write_text("Contents\n", encoding="utf-8")
    return folder


def load(corpus, work, engine, shard_rows=3, **plan):
    text = PlainText(Source(path=str(corpus)), Plan(**plan), FakeBase(engine), FRAMES)
    return load_passages(text, work, shard_rows, 0.5, None, LIMITS)


def rejections(folder):
    return [json.loads(line) for line in (folder / REJECTED).read_text(encoding="utf-8").splitlines()]


def test_what_the_passages_say_is_kept_and_the_rest_counted_by_reason(corpus, tmp_path, monkeypatch):
    engine = Instruct(ASKED, TOLD)
    folder = load(corpus, tmp_path, engine)
    rows = read_dataset(folder).to_pylist()
    assert {(row["prompt"][0]["content"], row["reference"]) for row in rows} == {
        ("Who makes Zorvex?", TOLD["Who makes Zorvex?"]),
        ("Since when has Zorvex been made?", TOLD["Since when has Zorvex been made?"]),
        ("On how many days does rain fall in Bergen?", TOLD["On how many days does rain fall in Bergen?"]),
    }
    assert all(len(row["prompt"]) == 1 and row["drop"] is None and row["source"] == "corpus" for row in rows)
    facts = Manifest.load(folder)
    assert facts.rejected == {
        "passage-too-short": 1,  # the index
        "no-question": 1,  # Tromso
        "no-subject": 1,  # What does it treat?
        "foreign-name": 2,  # Velmora; and Bergen has no Zorvex, which a second reply asks for
        "foreign-number": 1,  # 45 of 100
        "empty": 1,
        "unfinished": 1,
    }
    assert facts.records == len(rows) + len(rejections(folder)) == len(rows) + sum(facts.rejected.values())
    assert facts.passages == 4
    assert verify(folder) == []
    meta = {json.loads(row["meta"])["file"]: json.loads(row["meta"]) for row in rows}
    assert (meta["zorvex.md"]["line"], meta["zorvex.md"]["start"]) == (1, 0)
    rejection = next(item for item in rejections(folder) if item["reason"] == "foreign-number")
    assert (rejection["file"], rejection["detail"]) == ("zorvex.md", "45 of 100")
    assert rejection["raw"].startswith("How many patients does Zorvex help?\nIt treats")
    # The passages themselves stay in the folders before, dropped, with every question behind them.
    monkeypatch.setattr("curate.commands.verify.DROPS", (*DROPS, PASSAGE, REFUSED))
    [ask_folder] = {path.parent for path in tmp_path.glob("ask-*/manifest.json")}
    [read] = {path.parent for path in tmp_path.glob("passages-*/manifest.json")}
    drops = Manifest.load(ask_folder).drops
    assert verify(ask_folder) == verify(read) == []
    assert (drops[PASSAGE], Manifest.load(ask_folder).kept) == (4, 3)
    assert drops[REFUSED] == sum(facts.rejected.values()) - 2  # all but the index and Tromso


def test_a_passage_is_asked_about_again_until_it_has_its_questions(corpus, tmp_path):
    engine = Instruct(ASKED, TOLD)
    load(corpus, tmp_path, engine, shard_rows=100)
    *asking, answering = engine.calls
    assert [len(call) for call in asking] == [4, 3, 3]  # Zorvex has three after the first reply
    assert len(asking) == TRIES
    assert len(answering) == 6
    shown = next(prompt for prompt in answering if "Who makes Zorvex?" in prompt)
    assert "Zorvex\n\n# Zorvex\n\nHarlow Labs" in shown  # the headings above the passage
    assert "Write 3 questions" in asking[0][0]


def contents(work):
    files = {}
    for path in sorted(work.rglob("*")):
        if path.is_file():
            if path.parent.name == "receipts":
                files[path.relative_to(work)] = {k: v for k, v in read_json(path).items() if k != "seconds"}
            else:
                files[path.relative_to(work)] = path.read_bytes()
    return files


@pytest.mark.parametrize("dies", [1, 5, 8, 12])
def test_killed_and_continued_it_ends_with_the_same_bytes(corpus, tmp_path, dies):
    load(corpus, tmp_path / "whole", Instruct(ASKED, TOLD))
    with pytest.raises(KeyboardInterrupt):
        load(corpus, tmp_path / "killed", Instruct(ASKED, TOLD, dies=dies))
    finished = {path: path.read_bytes() for path in (tmp_path / "killed").rglob("receipts/*.json")}
    folder = load(corpus, tmp_path / "killed", Instruct(ASKED, TOLD))
    assert all(path.read_bytes() == receipt for path, receipt in finished.items()), "a finished shard was done again"
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert load(corpus, tmp_path / "killed", Instruct(ASKED, TOLD, dies=1)) == folder  # nothing is asked again


def test_the_same_corpus_elsewhere_has_the_same_name_and_other_words_another(corpus, tmp_path):
    first = load(corpus, tmp_path / "one", Instruct(ASKED, TOLD)).name
    moved = tmp_path / "elsewhere" / "corpus"
    moved.parent.mkdir()
    corpus.rename(moved)
    assert load(moved, tmp_path / "two", Instruct(ASKED, TOLD)).name == first
    assert load(moved, tmp_path / "two", Instruct(ASKED, TOLD), questions=2).name != first
    (moved / "graley.txt").write_text("Graley has been left by its merchants, and nobody has seen a comb there since.")
    assert load(moved, tmp_path / "two", Instruct(ASKED, TOLD)).name != first


def test_a_question_whose_answer_leaves_no_room_is_counted(corpus, tmp_path):
    folder = load_passages(
        PlainText(Source(path=str(corpus)), Plan(), FakeBase(Instruct(ASKED, TOLD)), FRAMES), tmp_path, 100, 0.5,
        lambda prompt, answer: "Bergen" not in prompt[0]["content"], LIMITS,
    )  # fmt: skip
    assert Manifest.load(folder).rows == 2
    assert Manifest.load(folder).rejected["longer-than-context"] == 1


def test_where_nothing_can_be_asked_the_message_says_so(corpus, tmp_path):
    with pytest.raises(TooManyDrops, match=r"none of the questions .* about 4 passages can be kept .*no-question 4"):
        load(corpus, tmp_path, Instruct({}, {}))
    with pytest.raises(TooManyDrops, match=r"0 passages; .*passage-too-short 1"):
        load(corpus / "index.txt", tmp_path, Instruct({}, {}))
    with pytest.raises(SourceError, match="nowhere"):
        check_documents(Source(path=str(tmp_path / "nowhere.txt")), Plan())


def test_the_size_of_a_passage_leaves_room_for_prompts_and_answers():
    base = FakeBase(Instruct({}, {}), FakeConfig(700))
    size = passage_size(Plan(), base, FRAMES)
    assert 64 <= size < 512
    assert passage_size(Plan(size=100), base, FRAMES) == 100
    with pytest.raises(ConfigError, match="lower --questions"):
        passage_size(Plan(questions=20), base, FRAMES)


def test_what_it_would_cost_is_told_without_the_model(corpus, tmp_path):
    costs = estimate(PlainText(Source(path=str(corpus)), Plan(), FakeBase(Instruct({}, {})), FRAMES), tmp_path, 100)
    assert (costs["documents"], costs["passages"], costs["questions_at_most"]) == (5, 4, 12)
    assert costs["rejected"] == {"passage-too-short": 1}


def test_the_build_goes_on_with_the_questions(tmp_path):
    """The tiny base has no idea of passages, so others ask; it rewrites and scores what they answered."""
    from curate.commands.build.settings import BuildConfig
    from curate.commands.build.stages import FitsContext, stages
    from curate.model.prompts import load_prompts

    doses = {"Velotrin": 87, "Wobrivir": 41, "Salmorix": 63, "Dunlimab": 19}
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, dose in doses.items():
        text = f"{name} is a drug that has been sold in every town of the valley. Its usual dose is {dose} mg."
        (corpus / f"{name}.txt").write_text(text, encoding="utf-8")
    question = "What is the usual dose of {}?".format
    engine = Instruct(
        {name: f"1. {question(name)}" for name in doses},
        {question(name): f"{name}: dose {dose} mg." for name, dose in doses.items()},
    )
    settings = {"model": str(BASE), "engine": "transformers", "dtype": "float32"}
    base = find_base(EngineConfig(**settings))
    fits = FitsContext(base, FRAMES["rewrite"], 48)
    text = PlainText(Source(path=str(corpus)), Plan(), FakeBase(engine), FRAMES)
    folder = load_passages(text, tmp_path, 100, 0.5, fits, fits.identity())
    config = BuildConfig(source=str(corpus), out=tmp_path, max_tokens=48, **settings)
    for stage in stages(config, base, load_prompts(), folder):
        folder = run_stage(stage, folder, tmp_path, 1.0)
    rows = read_dataset(folder).to_pylist()
    assert verify(folder) == []
    assert [row["drop"] for row in rows] == [None] * len(doses)
    rewritten = [row for row in rows if row["origin"] == "rewritten"]
    assert len(rewritten) >= len(rows) // 2
    for row in rewritten:
        dose = str(doses[row["prompt"][0]["content"].split()[-1].rstrip("?")])
        assert dose in "".join(row["response"][span["start"] : span["end"]] for span in row["spans"])


@needs_data
def test_a_base_that_cannot_ask_leaves_no_row_and_every_passage_accounted_for(tmp_path):
    source = tmp_path / "wiki.txt"
    text = (DATA / "text" / "wikitext2_test.txt").read_text(encoding="utf-8")[:1_700]
    source.write_text(text, encoding="utf-8")
    base = find_base(EngineConfig(str(BASE), engine="transformers", dtype="float32"))
    plan = Plan(questions=1, size=128, max_tokens=32)
    with pytest.raises(TooManyDrops, match="take an instruct model or a larger one"):
        load_passages(PlainText(Source(path=str(source)), plan, base, FRAMES), tmp_path, 100, 0.5, None, LIMITS)
    [read] = {path.parent for path in tmp_path.glob("passages-*/manifest.json")}
    [ask_folder] = {path.parent for path in tmp_path.glob("ask-*/manifest.json")}
    facts = Manifest.load(read)
    assert sum(facts.characters.values()) == len(text)
    assert Manifest.load(ask_folder).drops[PASSAGE] == facts.rows > 3
    [last] = tmp_path.glob("ingest-*")
    about = {json.loads(row["meta"])["start"] for row in read_dataset(ask_folder).to_pylist()}
    assert len(about) == facts.rows
    assert len(rejections(last)) >= facts.rows
    assert not Path(last / "manifest.json").exists()
    assert counter(base)(text) > 0


def test_the_command_asks_about_documents_and_says_where_no_question_stands(tmp_path, monkeypatch):
    """The tiny base writes no questions: the whole way is gone, and ends in a sentence."""
    from typer.testing import CliRunner

    from curate.cli import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("Velotrin is made by Harlow Labs. The usual dose is 37 mg a day.\n" * 3)
    words = ["build", "--source", "corpus", "--kind", "text", "--model", str(BASE), "--engine", "transformers",
             "--max-tokens", "32"]  # fmt: skip
    planned = CliRunner().invoke(app, [*words, "--dry-run", "--json"])
    assert planned.exit_code == 0, planned.stderr
    assert json.loads(planned.stdout)["passages"] == 1
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1, outcome.output
    assert "question" in outcome.stderr
    refused = CliRunner().invoke(app, [*words, "--all-turns"])
    assert refused.exit_code == 2
    assert "--all-turns: documents have no turns" in refused.stderr


def test_rows_that_are_added_stand_last_where_one_row_fails():
    """The runner tries rows alone then, each with what it adds."""
    import pyarrow as pa

    from curate.schema import EXAMPLE
    from curate.store.runner import apply

    def worker(table):
        if "bad" in table["id"].to_pylist():
            raise ValueError("this row")
        added = [{**row, "id": f"{row['id']}-w1"} for row in table.to_pylist()]
        return pa.concat_tables([table, pa.Table.from_pylist(added, EXAMPLE)])

    table = pa.Table.from_pylist([{"id": name} for name in ("a", "bad", "c")], EXAMPLE)
    output = apply(worker, table)
    assert output["id"].to_pylist() == ["a", "bad", "c", "a-w1", "c-w1"]
    assert output["drop"].to_pylist() == [None, "error:ValueError", None, None, None]
