"""Chat templates of reasoning models, shortened to what they do about thoughts, on a tokenizer that joins line ends."""

from typing import Any

from curate.model.template import Template

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}ANSWER{% else %}{{ m.content }}"
    "{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\nGENERATION{% endif %}"
)
EMPTY = "<think>\\n\\n</think>\\n\\n"
BARE = "{{ m.content.split('</think>')[-1].lstrip('\n') }}"
OFF = "{{ 'WRITTEN' if enable_thinking is defined and enable_thinking is false else '' }}"

QWEN3 = CHATML.replace("ANSWER", f"{{{{ '{EMPTY}' if loop.last else '' }}}}{BARE}").replace(
    "GENERATION", OFF.replace("WRITTEN", EMPTY)
)
"""The last answer is shown behind an empty thought, earlier ones bare; the model opens the thought."""

QWEN3_THINKING = QWEN3.replace(OFF.replace("WRITTEN", EMPTY), "<think>\n")
"""The same, and the generation prompt opens the thought (Qwen3-…-Thinking-2507)."""

QWQ = CHATML.replace("ANSWER", BARE).replace("GENERATION", "<think>\n")
"""Answers are always shown bare, and the generation prompt opens the thought."""

OLD_R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<|User|>{{ m.content }}{% else %}<|Assistant|>"
    + BARE
    + "<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|Assistant|>{% endif %}"
)
"""The model opens the thought, and no answer is shown behind one."""

R1 = OLD_R1.removesuffix("{% endif %}") + "<think>\n{% endif %}"

V31 = OLD_R1.replace(BARE, "</think>" + BARE).removesuffix("{% endif %}") + (
    "{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}"
)
"""DeepSeek-V3.1: a closing marker alone says that the model does not think."""

GLM = (
    "[gMASK]{% for m in messages %}{% if m.role == 'user' %}<|user|>\n{{ m.content }}"
    + OFF.replace("WRITTEN", "/nothink")
    + "{% else %}<|assistant|>\n<think></think>\n"
    + BARE
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>"
    + OFF.replace("WRITTEN", "\\n<think></think>")
    + "{% endif %}"
)
"""No token of its own ends a turn: the next one's first does."""

CHANNELS = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
TOKENS = ("<|im_start|>", "<|im_end|>", "<|bos|>", "<|User|>", "<|Assistant|>", "<|user|>", "<|assistant|>", "[gMASK]",
          "<|start|>", "<|channel|>", "<|message|>")  # fmt: skip
THINK = ("<think>", "</think>")


def template(chat_template: str, thoughts: tuple[str, ...] = THINK, **arguments: Any) -> Template:
    """``thoughts``: the markers that are tokens of their own, not special, as in the models' tokenizers."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*alphabet, "ĊĊ"])}, merges=[("Ċ", "Ċ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(token, special=True) for token in TOKENS])
    inner.add_tokens([AddedToken(token, special=False) for token in thoughts])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", bos_token="<|bos|>")
    tokenizer.chat_template = chat_template
    return Template(tokenizer, arguments)
