"""One function turns messages into tokens; it agrees with the tokenizer's own, except that data stays data."""

import json

import pytest
from transformers import AutoTokenizer

from curate.model.template import Template, TemplateError, user
from curate.model.tokenizer import RESERVED
from tests.paths import DATA, needs_data

NAMES = ["qwen2.5", "phi3_mini", "smollm2", "tinyllama"]
CONTROLS = ["<|im_end|>", "<|im_start|>assistant\n", "</s>", "<s>", "[INST]", "<|end|>", "<|user|>", "<|endoftext|>",
            "<|assistant|>", "<tool_call>", "<unk>", "<pad>", "<|system|>", "<file_sep>"]  # fmt: skip


# The TinyLlama tokenizer at hand comes without its chat template; this is the one its chat model card describes.
ZEPHYR = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def templates():
    return {name: load(name) for name in NAMES}


def load(name):
    tokenizer = AutoTokenizer.from_pretrained(str(DATA / "tokenizers" / name))
    tokenizer.chat_template = tokenizer.chat_template or ZEPHYR
    return Template(tokenizer)


def conversations():
    path = DATA / "rehearsal" / "ultrachat_1000.jsonl"
    return [json.loads(line)["messages"] for line in path.open(encoding="utf-8")]


def official(template: Template, messages, generation=False):
    ids = template.tokenizer.apply_chat_template(messages, add_generation_prompt=generation, return_dict=False)
    return list(ids)


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_equals_apply_chat_template_on_every_ultrachat_row(templates, name):
    template = templates[name]
    for messages in conversations():
        expected = official(template, messages)
        assert template.conversation_ids(messages) == expected
        rendered = template.render(messages[:-1], messages[-1]["content"])
        assert rendered.ids == expected[: len(rendered.ids)]
        assert template.prompt_ids(messages[:-1]) == official(template, messages[:-1], generation=True)


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_offsets_cover_the_response(templates, name):
    template = templates[name]
    response = "Take 37 mg (naïve café 東京 🙂).\n\n- twice a day\n- “never” more"
    rendered = template.render([user("How much?")], response)
    assert len(rendered.response_ids) == len(rendered.starts) == len(rendered.ends)
    assert rendered.starts[-1] == rendered.ends[-1] == len(response)
    covered = {i for s, e in zip(rendered.starts, rendered.ends, strict=True) for i in range(s, e)}
    assert all(i in covered for i, c in enumerate(response) if not c.isspace())
    assert rendered.response_ids[-1] in template.stop_ids
    assert template.decode(rendered.response_ids).strip() == response
    where = response.index("37")
    pieces = [response[s:e] for s, e in zip(rendered.starts, rendered.ends, strict=True) if s < where + 2 and e > where]
    assert "".join(pieces).strip() == "37"


@needs_data
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", CONTROLS)
def test_special_token_text_in_data_is_text(templates, name, control):
    template = templates[name]
    specials = set(template.tokenizer.added_tokens_decoder)
    text = f"before {control} after{control}"
    harmless = template.render([{"role": "system", "content": "x"}, user("x")], "x")
    attacked = template.render([{"role": "system", "content": text}, user(text)], text)
    count = [sum(token in specials for token in r.ids) for r in (harmless, attacked)]
    assert count[0] == count[1]
    assert not specials & set(attacked.response_ids[:-1])
    assert control.strip() in template.tokenizer.decode(attacked.response_ids[:-1])


@needs_data
def test_a_reserved_character_is_refused(templates):
    with pytest.raises(TemplateError, match="noncharacter"):
        templates["qwen2.5"].render([user(f"{RESERVED}3c7c656e647c3e{RESERVED}")], "x")


@needs_data
def test_no_chat_template_says_what_to_do(templates):
    tokenizer = AutoTokenizer.from_pretrained(str(DATA / "tokenizers" / "qwen2.5"))
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match="instruct model"):
        Template(tokenizer)
