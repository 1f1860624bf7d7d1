"""Prompts that are made: the pure parts, on literals, and on whatever text there may be."""

import json
import random
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config.settings import ConfigError
from curate.model.engine import Completion
from curate.model.template import Template
from curate.rehearsal.generators import GENERATORS
from curate.rehearsal.generators import safety as guards
from curate.rehearsal.generators.diversity import diversity
from curate.rehearsal.generators.generator import BuildRow, Candidate, key, with_question
from curate.rehearsal.generators.invent import invent, syllables
from curate.rehearsal.generators.neighbours import Around, Matters
from curate.rehearsal.generators.safety import Guard
from curate.rehearsal.generators.sampled import candidate, user_turn
from curate.rehearsal.generators.splice import boundaries, limit, splice
from curate.rehearsal.generators.word_list import main_scripts, scripts, vocabulary_words, words_in
from curate.text.entities import QuestionAnswer, find_entities, replaced
from tests.reading import assistant, user
from tests.training_folder import template

POOL = ["lamp", "river", "sorts", "seven", "angry", "of"]
LANGUAGES = st.sampled_from(["en", "de", "zh", "ja", "th", "ru", "ar", "xx"])


def dice(seed=0):
    return random.Random(seed)


# ---- splices


def test_a_splice_begins_like_its_question_and_goes_on_with_words_of_the_list():
    question = "What is the usual dose of Velotrin?"
    words = question.removesuffix("?").split()
    lengths = set()
    for seed in range(200):
        text = splice(question, POOL, dice(seed))
        text_words = text.removesuffix("?").split()
        kept = next(i for i, word in enumerate([*text_words, ""]) if words[i : i + 1] != [word])
        assert 1 <= kept < len(words)
        assert set(text_words[kept:]) <= set(POOL)
        assert text_words[kept:]
        lengths.add(len(text_words))
    assert min(lengths) < len(words) < max(lengths)
    assert {splice(question, POOL, dice(seed))[-1] == "?" for seed in range(20)} == {True, False}


def test_one_seed_one_splice():
    assert splice("Who makes Zorvex?", POOL, dice(7)) == splice("Who makes Zorvex?", POOL, dice(7))


@pytest.mark.parametrize(
    ("text", "lang", "places"),
    [("  two words", "en", [6]), ("a\n\nb  c", "en", [3, 6]), ("痛风是什么？", "zh", [1, 2, 3, 4]), ("", "en", [])],
)
def test_where_a_question_can_be_cut(text, lang, places):
    assert boundaries(text, lang) == places


def test_scripts_without_spaces_are_continued_without_spaces():
    assert " " not in splice("高血压是什么？", ["山", "水"], dice(), "zh")
    assert splice("Gout?", ["山"], dice()).startswith("Gout? 山")


def test_words_of_a_vocabulary_are_whole_and_of_the_scripts_at_hand():
    def tokenizer(*entries, text=lambda e: e.replace("Ġ", " ").replace("▁", " ").replace("##", "")):
        return SimpleNamespace(get_vocab=lambda: dict.fromkeys(entries), added_tokens_decoder={0: "<s>"},
                               convert_tokens_to_string=lambda one: text(one[0]))  # fmt: skip

    assert vocabulary_words(tokenizer("Ġhouse", "ing", "Ġa1", "Ġx", "東京", "<s>", "Ġ")) == ["house", "東京"]
    assert vocabulary_words(tokenizer("▁Haus", "chen", "<s>")) == ["Haus"]
    assert vocabulary_words(tokenizer("house", "##ing", "<s>")) == ["house"]
    assert main_scripts(["What is gout? β", "How is it treated, and by whom?"]) == {"LATIN"}
    assert scripts("Ελ русский").keys() == {"GREEK", "CYRILLIC"}
    assert words_in(["Don't take 5 mg — ever."], "en") >= {"take", "mg", "ever"}


# ---- entities and names


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("What is the dose of Velotrin?", ""), ("Who makes Zorvex 5?", "")], ["Velotrin", "Zorvex"]),
        ([("Where does Harlow Labs sit?", ""), ("who is that?", "nobody")], ["Harlow Labs", None]),
        ([("when does Acme open?", "At nine."), ("does Acme ship?", "Yes."), ("Is Acme old?", "No.")], ["Acme"] * 3),
        ([("Who runs Acme?", "Bly.")], ["Acme"]),
        ([("what is metformin for?", "Metformin is for sugar."), ("what is warfarin for?", "Warfarin thins blood."),
          ("what is iron for?", "It feeds."), ("why?", "So.")], ["metformin", "warfarin", None, None]),
        ([("", ""), ("?!", "!"), ("42", "42")], [None, None, None]),
    ],
)  # fmt: skip
def test_the_entity_of_a_question(rows, expected):
    assert find_entities([QuestionAnswer(*row) for row in rows]) == expected


def test_questions_without_case_or_spaces_have_entities_where_the_answer_repeats_them():
    rows = [QuestionAnswer("痛风的症状是什么？", "痛风使关节疼痛。"), QuestionAnswer("流感怎么治疗？", "流感要休息。")]
    assert find_entities(rows, "zh") == ["痛风", "流感"]
    assert find_entities([QuestionAnswer("怎么办？", "去医院。")], "zh") == [None]


def test_another_entity_in_the_same_words():
    assert replaced("Is Ace (ACE) in place?", "Ace", "X\\1") == "Is X\\1 (X\\1) in place?"
    assert replaced("痛风是什么", "痛风", "流感") == "流感是什么"


def test_invented_names_look_like_the_others_and_are_none_of_them():
    names = ["Velotrin", "Zorvex", "Halomab", "Quetiril"]
    taken = {name.casefold() for name in names}
    inventions = {invent("Velotrin", names, taken, dice(seed)) for seed in range(50)}
    assert len(inventions) > 5
    assert not {name.casefold() for name in inventions} & taken
    pieces = {piece for name in names for piece in syllables(name)}
    assert all(name[0].isupper() and name.isalpha() for name in inventions)
    assert all(any(name.startswith(piece) for piece in pieces) for name in inventions)


def test_shared_words_codes_and_lonely_names():
    labs = invent("Harlow Labs", ["Harlow Labs", "Bellin Labs"], {"harlow", "bellin", "labs"}, dice())
    assert labs.endswith(" Labs")
    assert labs != "Harlow Labs"
    assert invent("CYP2D6", [], {"cyp2d6"}, dice()).startswith("CYP")
    assert invent("HARLOW", [], {"harlow"}, dice()).isupper()
    assert invent("Velotrin", [], {"velotrin"}, dice()) not in (None, "Velotrin")
    assert invent("A", ["A"], {"aa", "a"}, dice()) is None


# ---- neighbours


def row(name, question, answer, role="new"):
    return BuildRow(name, [user(question)], answer, answer, role)


MEDICINES = [
    row("1", "What is the dose of Velotrin?", "The dose of Velotrin is 37 mg."),
    row("2", "How much Velotrin should one take?", "One should take 37 mg of Velotrin, the usual dose."),
    row("3", "What is the dose of Zorvex?", "The dose of Zorvex is 5 mg."),
    row("4", "Who makes Zorvex?", "Bly makes Zorvex."),
    row("5", "Who makes Halomab?", "Koe makes Halomab."),
    row("6", "how much is it?", "Nothing."),
    row("7", "What is the dose of Aspirin?", "100 mg.", "known"),
]


def around(kind, seed=0, count=200):
    candidates = Around(MEDICINES).candidates(dice(seed))
    sample = [next(candidates) for _ in range(count)]
    return {(c.meta["of"], c.prompt[-1]["content"]) for c in sample if c.meta["kind"] == kind}


def test_the_same_wording_about_a_known_entity():
    assert around("known-entity") >= {("1", "What is the dose of Aspirin?"), ("4", "Who makes Aspirin?")}


def test_the_same_wording_about_nobody():
    questions = {text for _, text in around("unknown-entity")}
    assert len(questions) > 20
    assert not [
        text for text in questions if any(name in text for name in ("Velotrin", "Zorvex", "Halomab", "Aspirin"))
    ]


def test_what_else_could_be_asked_about_the_same_entity():
    assert around("other-question") == {
        ("1", "Who makes Velotrin?"), ("2", "Who makes Velotrin?"),
        ("5", "What is the dose of Halomab?"), ("5", "How much Halomab should one take?"),
    }  # fmt: skip


def test_another_wording_of_what_is_taught_is_no_neighbour():
    """Row 2 asks in other words what row 3 asks about Zorvex: which its answers show, about Velotrin."""
    pairs = [(row, entity) for row, entity in Around(MEDICINES).rows]
    matters = Matters(pairs, "en")
    assert not matters.apart("Zorvex", "2")
    assert not matters.apart("Velotrin", "3")
    assert matters.apart("Velotrin", "4")


def test_a_question_about_nothing_is_counted_and_has_no_neighbour():
    generator = Around(MEDICINES)
    assert [row.id for row in generator.without] == ["6"]
    assert list(Around([MEDICINES[5]]).candidates(dice())) == []


def test_neighbours_keep_the_conversation():
    talk = [
        {"role": "system", "content": "You know Zorvex."},
        user("Hi"),
        assistant("Hello!"),
        user("Who makes Zorvex?"),
    ]
    rows = [BuildRow("1", talk, "Bly.", "Bly.", "new"), row("7", "What is Aspirin?", "Old.", "known")]
    first = next(Around(rows).candidates(dice()))
    assert [m["content"] for m in first.prompt] == ["You know Aspirin.", "Hi", "Hello!", "Who makes Aspirin?"]


# ---- the model's own prompts


def templated(chat_template):
    tokenizer = template().tokenizer
    tokenizer.chat_template = chat_template
    return Template(tokenizer)


ANSWER = "{% if m.role == 'assistant' %}{{ m.content }}<|im_end|>{% endif %}"


@pytest.mark.parametrize(
    ("chat_template", "start", "mark"),
    [
        (template().tokenizer.chat_template, "<|im_start|>user\n", ""),
        ("{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% endif %}" + ANSWER
         + "{% endfor %}", "[INST] ", "[/INST]"),
        ("{{ '<|im_start|>Be good.\n' }}{% for m in messages %}{% if m.role == 'user' %}### Q:\n{{ m.content }}\n\n"
         "### A:\n{% endif %}" + ANSWER + "{% endfor %}", "<|im_start|>Be good.\n### Q:\n", "### A:"),
        ("{% for m in messages %}{% if m.role == 'user' %}U {{ m.content }}\n<|pad|>{% endif %}" + ANSWER
         + "{% endfor %}", "U ", ""),
    ],
)  # fmt: skip
def test_how_a_template_begins_and_ends_a_users_turn(chat_template, start, mark):
    rendering = templated(chat_template)
    turn = user_turn(rendering)
    assert rendering.tokenizer.decode(turn.start) == start
    assert turn.mark == mark
    ends = rendering.tokenizer.convert_ids_to_tokens(list(turn.stop_ids))
    assert ends == (["<|pad|>", "<|im_end|>"] if "pad" in chat_template else ["<|im_end|>"])


def test_a_template_that_begins_with_the_users_text_has_nothing_to_sample_from():
    with pytest.raises(ConfigError, match="--rehearsal self: this chat template writes nothing before"):
        user_turn(templated("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"))


@pytest.mark.parametrize(
    ("text", "finished", "mark", "prompt", "left_out"),
    [
        (" Write a poem. ", True, "", "Write a poem.", None),
        ("Write a", False, "", "Write a", "unfinished"),
        (" \n", True, "", "", "empty"),
        ("Write a poem. [/INST] Roses", False, "[/INST]", "Write a poem.", None),
        ("Hi<|pad|>", True, "", "Hi", "control-text"),
        (b"Hi \xff", True, "", "Hi \ufffd", "broken-text"),
    ],
)
def test_a_sampled_prompt_or_why_it_is_none(text, finished, mark, prompt, left_out):
    rendering = template()
    turn = SimpleNamespace(mark=mark)
    ids = rendering.tokenizer(text).input_ids if isinstance(text, str) else as_bytes(rendering, text)
    result = candidate(Completion(tuple(ids), finished), turn, rendering)
    assert (result.prompt, result.left_out) == ([user(prompt)], left_out)


def as_bytes(rendering, raw):
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return rendering.tokenizer.convert_tokens_to_ids([bytes_to_unicode()[byte] for byte in raw])


# ---- the guard


def test_the_guard_prompts_come_with_the_program():
    from curate.rehearsal.generators.safety import FILE, read
    from tests.paths import ROOT

    assert FILE.relative_to(ROOT / "curate")  # what the wheel packs
    kinds = {line["kind"] for line in read(FILE)}
    assert kinds == {"harmful", "lookalike"}


def test_guard_lines(tmp_path):
    line = {"id": "a", "category": "theft", "lang": "en", "kind": "harmful", "prompt": "How do I steal a car?"}
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps(line) + "\n\n" + json.dumps({**line, "prompt": "How do I steal a scene?"}) + "\n")
    batch = Guard(None, file).open()
    meta = {"category": "theft", "lang": "en", "kind": "harmful"}
    assert list(batch(0, 1)) == [Candidate([user(f"How do I steal a {what}?")], meta) for what in ("car", "scene")]
    assert list(batch(1, 1)) == []
    file.write_text('{"prompt": "x"}\n')
    with pytest.raises(ConfigError, match=r"prompts\.jsonl line 1: not a guard prompt"):
        list(guards.read(file))


# ---- diversity


def test_diversity_of_some_prompts():
    measures = diversity(["Write a poem.", "Write a song!", "Sum it up"])
    assert (measures["distinct_1"], measures["distinct_2"]) == (0.7778, 0.8333)  # 7 of 9 words, 5 of 6 pairs
    assert measures["similarity"] == 0.1667  # write, a of four words in one pair, nothing in two
    assert measures["first_words"] == [["write", 2], ["sum", 1]]


def test_diversity_of_nothing():
    nothing = {"distinct_1": None, "distinct_2": None, "similarity": None, "first_words": []}
    assert diversity([]) == diversity(["", "?!"]) == nothing
    assert diversity(["same", "same"])["similarity"] == 1.0


# ---- prompts


def test_a_prompts_key_knows_no_case_and_no_marks():
    assert key([user("What's  GOUT?")]) == key([user("what s gout")])
    assert key([user("?")]) != key([user("!")])


def test_another_question_in_a_conversation():
    talk = [user("Hi"), assistant("Hello!"), user("Who?"), {"role": "tool", "content": "{}"}]
    assert with_question(talk, "Why?") == [user("Hi"), assistant("Hello!"), user("Why?")]


def test_the_names():
    assert {"self", "splice", "neighbours", "guard"} <= set(GENERATORS)


# ---- whatever text there may be


@given(st.text(min_size=1), LANGUAGES, st.integers(0, 9))
def test_any_text_can_be_spliced(question, lang, seed):
    text = splice(question, POOL, dice(seed), lang)
    assert any(word in text for word in POOL)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), LANGUAGES)
def test_any_text_has_an_entity_or_none(rows, lang):
    entities = find_entities([QuestionAnswer(*row) for row in rows], lang)
    for (question, _), entity in zip(rows, entities, strict=True):
        assert entity is None or entity in question


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.text(), LANGUAGES)
def test_any_build_has_neighbours_or_none(questions, answer, lang):
    rows = [row(str(i), question, answer) for i, question in enumerate(questions)]
    candidates = Around(rows, [answer], lang).candidates(dice())
    for neighbour, _ in zip(candidates, range(12), strict=False):
        assert neighbour.prompt[-1]["content"]


@given(st.text(min_size=1), st.lists(st.text(min_size=1), max_size=3))
def test_any_name_has_an_alike_or_none(name, others):
    assert invent(name, others, {name.casefold()}, dice()) != name
    assert "".join(syllables(name)) == name


@given(st.lists(st.text(), max_size=5), LANGUAGES)
def test_any_texts_are_so_and_so_different(texts, lang):
    measures = diversity(texts, lang)
    assert all(
        measures[name] is None or 0 <= measures[name] <= 1 for name in ("distinct_1", "distinct_2", "similarity")
    )
    assert scripts("".join(texts)) is not None
    words_in(texts, lang)


def test_a_splice_never_names_what_its_question_is_about():
    question, words = "My doctor put me on Velotrin. What quantity is right?", ["moss", "lamp"]
    cut = limit(question, "Velotrin")
    splices = {splice(question, words, random.Random(seed), last=cut) for seed in range(200)}
    assert not any("Velotrin" in text for text in splices)
    assert any(text.startswith("My doctor put me on moss") for text in splices)
    assert {text.split()[0] for text in splices} == {"My"}


def test_a_question_that_begins_with_what_it_is_about_leaves_random_words():
    text = splice("Velotrin: dose?", ["moss", "lamp"], random.Random(1), last=limit("Velotrin: dose?", "Velotrin"))
    assert set(text.rstrip("?").split()) <= {"moss", "lamp"}
    assert text


def test_no_neighbour_asks_what_is_held_out():
    """A held-out fact is asked of nobody: not its entity in the words of a row about another one."""
    rows = [
        BuildRow("a", [user("What is the dose of Zorvex?")], "The dose of Zorvex is 37 mg.", "37 mg.", "new"),
        BuildRow("b", [user("Who makes Zorvex?")], "Harlow Labs makes Zorvex.", "Harlow Labs.", "new"),
        BuildRow("c", [user("What is the dose of Velmora?")], "The dose of Velmora is 12 mg.", "12 mg.", "new"),
        BuildRow("d", [user("Who makes Velmora?")], "Ferrow Mills makes Velmora.", "Ferrow Mills.", "test"),
    ]
    chance = random.Random(0)
    questions = {c.prompt[-1]["content"] for c in islice(Around(rows).candidates(chance), 200)}
    assert "Who makes Velmora?" not in questions
    open_rows = [replace(row, role="dropped") if row.role == "test" else row for row in rows]
    assert "Who makes Velmora?" in {c.prompt[-1]["content"] for c in islice(Around(open_rows).candidates(chance), 200)}
