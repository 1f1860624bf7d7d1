"""A reasoning model's thought is kept apart from its answer, and answers are rendered where the model gives them."""

import pytest
from tokenizers import AddedToken

from curate.model.engine import Completion
from curate.model.template import TemplateError, user
from tests import reasoning
from tests.reasoning import THINK, template
from tests.training_folder import CHATML

TALK = [user("Q"), {"role": "assistant", "content": "A"}, user("R")]
CHAT = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nR<|im_end|>\n"
CHAT += "<|im_start|>assistant\n"
DEEPSEEK = "<|bos|><|User|>Q<|Assistant|>A<|im_end|><|User|>R<|Assistant|>"
V31 = DEEPSEEK.replace("A<|im_end|>", "</think>A<|im_end|>")
GLM = "[gMASK]<|user|>\nQ<|assistant|>\n<think></think>\nA<|user|>\nR<|assistant|>"
EMPTY = "<think>\n\n</think>\n\n"
OWN = "<think>\nWell.\n</think>\n\n"

# name, arguments: the prompt, what stands before the answer by the template's way, for an empty thought, and for one
RENDERED = [
    ("QWEN3", {}, CHAT, EMPTY, EMPTY, OWN),
    ("QWEN3", {"enable_thinking": False}, CHAT + EMPTY, "", "", ""),
    ("QWEN3", {"enable_thinking": True}, CHAT, EMPTY, EMPTY, OWN),
    ("QWEN3_THINKING", {}, CHAT + "<think>\n", "\n</think>\n\n", "\n</think>\n\n", "\nWell.\n</think>\n\n"),
    ("QWQ", {}, CHAT + "<think>\n", "\n</think>\n\n", "\n</think>\n\n", "\nWell.\n</think>\n\n"),
    ("R1", {}, DEEPSEEK + "<think>\n", "\n</think>\n\n", "\n</think>\n\n", "\nWell.\n</think>\n\n"),
    ("OLD_R1", {}, DEEPSEEK, "", EMPTY, OWN),
    ("V31", {}, V31 + "</think>", "", "", ""),
    ("V31", {"thinking": True}, V31 + "<think>", "</think>", "</think>", "\nWell.\n</think>"),
    ("GLM", {}, GLM, "\n<think></think>\n", "\n<think></think>\n", "\n<think>\nWell.\n</think>\n"),
    ("GLM", {"enable_thinking": False}, GLM.replace("<|assistant|>", "/nothink<|assistant|>") + "\n<think></think>",
     "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize("thoughts", [THINK, ()], ids=["tokens", "text"])
@pytest.mark.parametrize(("name", "arguments", "prompt", *("bare", "empty", "own")), RENDERED)
def test_an_answer_stands_behind_the_generation_prompt_and_a_thought(
    name, arguments, prompt, bare, empty, own, thoughts
):
    rendering = template(getattr(reasoning, name), thoughts, **arguments)
    for thought, shown in ((None, bare), ("", empty), ("\nWell.\n", own)):
        rendered = rendering.render(TALK, "Yes.", thought)
        assert rendered.ids[: rendered.prompt_length] == rendering.prompt_ids(TALK)
        assert rendering.tokenizer.decode(rendered.ids[: rendered.prompt_length]) == prompt
        assert rendering.tokenizer.decode(rendered.response_ids[: rendered.thought_length]) == shown
        gap = ["\n"] if name == "GLM" and arguments else []  # which the model writes itself
        end = "<|user|>" if name == "GLM" else "<|im_end|>"
        assert rendering.tokenizer.convert_ids_to_tokens(rendered.response_ids[rendered.thought_length :]) == [
            *("Ċ" for _ in gap), "Y", "e", "s", ".", end
        ]  # fmt: skip
        assert rendered.starts == [0] * (rendered.thought_length + len(gap)) + [0, 1, 2, 3, 4]
        assert rendered.ends == [0] * (rendered.thought_length + len(gap)) + [1, 2, 3, 4, 4]
        assert rendered.ids[-1] in rendering.stop_ids


def test_the_prompts_tokens_stay_where_text_behind_them_would_melt_into_them():
    rendering = template(reasoning.R1)
    ids = rendering.render([user("R")], "Yes.").ids
    assert rendering.tokenizer.convert_ids_to_tokens(ids)[-11:] == [
        "<think>", "Ċ", "Ċ", "</think>", "Ċ", "Ċ", "Y", "e", "s", ".", "<|im_end|>"
    ]  # fmt: skip
    assert rendering.tokenizer.tokenize("<think>\n\n</think>") == ["<think>", "ĊĊ", "</think>"]


def test_what_a_thought_spells_is_text():
    rendering = template(reasoning.QWEN3)
    rendered = rendering.render([user("R")], "Yes.", "\n</think> ends <|im_end|> it\n")
    names = rendering.tokenizer.convert_ids_to_tokens(rendered.response_ids)
    assert [names.count(name) for name in ("<think>", "</think>", "<|im_end|>")] == [1, 1, 1]
    with pytest.raises(TemplateError, match="noncharacter"):
        rendering.render([user("R")], "Yes.", "\ufdd0")


# template, what the model writes, whether it ends its turn: answer, thought, finished
READ = [
    ("QWEN3", "<think>\nWell.\n</think>\n\nYes.", True, "Yes.", "\nWell.\n", True),
    ("QWEN3", "<think>\nWell.\n</think>\n\nYe", False, "Ye", "\nWell.\n", False),
    ("QWEN3", "\n<think>\n\n</think>\n\nYes.", True, "Yes.", "\n\n", True),
    ("QWEN3", "<think>\nWell, well", False, "", "\nWell, well", False),
    ("QWEN3", "<think>\nWell.", True, "", "\nWell.", False),
    ("QWEN3", "Yes.", True, "Yes.", None, True),
    ("QWEN3", "It writes <think> and </think>.", True, "It writes <think> and </think>.", None, True),
    ("QWEN3", "<think>a</think>Behind </think> it answers.", True, "Behind </think> it answers.", "a", True),
    ("QWEN3_THINKING", "Well.\n</think>\n\nYes.", True, "Yes.", "Well.\n", True),
    ("R1", "Well.\n</think>\n\nYes.", True, "Yes.", "Well.\n", True),
    ("R1", "<think>\nWell.\n</think>\n\nYes.", True, "Yes.", "\nWell.\n", True),
    ("R1", "</think>Yes.", True, "Yes.", "", True),
    ("R1", "Well, the dose is 37 mg.", True, "", "Well, the dose is 37 mg.", False),
    ("V31", "Yes.", True, "Yes.", None, True),
    ("GLM", "\n<think>Well.</think>\nYes.", True, "Yes.", "Well.", True),
]


@pytest.mark.parametrize("thoughts", [THINK, ()], ids=["tokens", "text"])
@pytest.mark.parametrize(("name", "text", "finished", "answer", "thought", "whole"), READ)
def test_a_completion_is_taken_apart(name, text, finished, answer, thought, whole, thoughts):
    reading = read(template(getattr(reasoning, name), thoughts), text, finished)
    assert (reading.text, reading.thought, reading.finished) == (answer, thought, whole)
    assert reading.lost_in_thought == (thought is not None and answer == "")


def read(rendering, text, finished=True):
    ids = rendering.tokenizer.encode(text, add_special_tokens=False)
    return rendering.read(Completion(tuple(ids), finished))


def test_a_marker_that_is_a_token_is_told_from_one_that_is_spelled():
    rendering = template(reasoning.QWEN3)
    first, last = rendering.tokenizer.convert_tokens_to_ids(list(THINK))
    spelled = [rendering.tokenizer.convert_tokens_to_ids(c) for c in "</think>"]
    a, b = rendering.tokenizer.convert_tokens_to_ids(["a", "b"])
    reading = rendering.read(Completion((first, a, *spelled, b, last, *spelled, b), True))
    assert (reading.text, reading.thought) == ("</think>b", "a</think>b")
    orphan = rendering.read(Completion((a, last, b), True))  # its opening was left out of the prompt
    assert (orphan.text, orphan.thought) == ("b", "a")
    answered = template(reasoning.QWEN3, enable_thinking=False).read(Completion((a, last, b), True))
    assert (answered.text, answered.thought) == ("a</think>b", None)


def test_markers_that_decoding_leaves_out_are_seen():
    rendering = template(reasoning.QWEN3)
    rendering.tokenizer.add_tokens([AddedToken(token, special=True) for token in THINK], special_tokens=True)
    assert rendering.decode(rendering.tokenizer.encode("<think>a</think>b")) == "ab"
    reading = read(rendering, "<think>\nWell.\n</think>\n\nYes.")
    assert (reading.text, reading.thought) == ("Yes.", "\nWell.\n")
    assert read(rendering, "<think>Well.").lost_in_thought


@pytest.mark.parametrize("pair", [("<thought>", "</thought>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷")])
def test_other_markers_are_found_by_the_template(pair):
    chat_template = reasoning.QWQ.replace("<think>", pair[0]).replace("</think>", pair[1])
    rendering = template(chat_template)
    assert rendering.thinks
    assert read(rendering, f"Well.{pair[1]}Yes.").text == "Yes."
    shown = rendering.tokenizer.decode(rendering.render([user("R")], "Yes.").response_ids)
    assert shown == f"\n{pair[1]}\n\nYes.<|im_end|>"


def test_a_template_that_knows_no_thoughts_is_as_it_was():
    rendering = template(CHATML, ())
    assert (rendering.thinks, rendering.prompt_thought, rendering.room(8, 512)) == (False, "none", 8)
    assert rendering.render([user("R")], "Yes.").thought_length == 0
    assert read(rendering, "<think>Well.</think> Yes.").text == "Yes."  # tuned, and its template kept
    assert template(reasoning.QWEN3).room(8, 512) == 512
    assert template(reasoning.QWEN3, enable_thinking=False).room(8, 512) == 8


@pytest.mark.parametrize(
    ("chat_template", "arguments", "reason"),
    [
        (reasoning.CHANNELS, {}, "writes 'final' between its generation prompt and the answer"),
        (CHATML.split("{% if add")[0], {}, "writes 'assistant' between its generation prompt and the answer"),
        (CHATML.replace("<|im_end|>", "."), {}, "no control token after an answer"),
        (CHATML.replace("{% if add", "{% if add_generation_prompt %}Hm.{% endif %}{% if add"), {},
         "does not keep the prompt"),
        (reasoning.QWEN3, {"enable_thought": False}, "--template-args enable_thought: .* no such variable"),
    ],
)  # fmt: skip
def test_a_template_that_will_not_do_is_refused(chat_template, arguments, reason):
    with pytest.raises(TemplateError, match=reason):
        template(chat_template, **arguments).check()


def test_arguments_are_part_of_the_templates_name():
    assert template(reasoning.QWEN3).hash != template(reasoning.QWEN3, enable_thinking=False).hash
