r"""Find markers of a speaker's turn inside an answer, left by a conversation or a prompt format that ran on.

Formats: ChatML, Llama 2 and 3, Gemma, Phi, Zephyr, Mistral, DeepSeek, Alpaca ("### Instruction:"), Vicuna ("USER: …
ASSISTANT:"), Anthropic's HH ("\n\nHuman:").
"""

import re

_CONTROL = re.compile(
    r"<\|(?:im_start|im_end|im_sep|start_header_id|end_header_id|eot_id|eom_id|endoftext|end_of_text|begin_of_text|user"
    r"|assistant|system|end|end_of_turn|start_of_turn|start_of_role|end_of_role|message|channel|return|prompter|human)\|>"
    r"|<(?:start_of_turn|end_of_turn)>|<\uff5c(?:User|Assistant|end▁of▁sentence|begin▁of▁sentence)\uff5c>"
    r"|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS)\]|GPT4 Correct (?:User|Assistant):",
)
_ROLE = r"(?:human|user|assistant|system|instructions?|input|response|prompter|ai assistant|chatgpt|bot|gpt)"
_HEADED = re.compile(
    rf"^[ \t]*(?:#{{2,4}}[ \t]*|\*\*[ \t]*###?[ \t]*){_ROLE}(?:\*\*)?[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_NAMED = re.compile(
    r"^[ \t]*(?:\*\*)?(Human|User|USER|Assistant|ASSISTANT|Chatbot|AI)(?:\*\*)?:(?:\*\*)?[ \t]", re.MULTILINE
)
_ASKING = {"human": "asks", "user": "asks"}
_CODE = re.compile(r"(```|~~~).*?(?:\1|\Z)|`[^`\n]+`", re.DOTALL)
_DIALOGUE = re.compile(
    r"dialog|conversation|transcript|\bchat|\bscript\b|role.?play|interview|exchange|skit|gespräch"
    r"|hội thoại|对话|對話|会話|대화|diálogo|conversaci|диалог|template|prompt format|chatml|special tokens?",
    re.IGNORECASE,
)


def role_markers(text: str, question: str = "") -> list[tuple[int, int]]:
    """Half-open characters of each marker outside code. Nothing is found if the question asks for a conversation, nor
    are markers that the question has too.

    >>> text = "The dose is 37 mg.\\n### Human: And for children?"
    >>> [text[start:end] for start, end in role_markers(text)]
    ['### Human:']
    >>> role_markers("User: Hi\\nAssistant: Hello", "Write a dialogue.")
    []
    """
    shown = _CODE.sub(lambda match: " " * len(match[0]), text)
    spans = [match.span() for pattern in (_CONTROL, _HEADED) for match in pattern.finditer(shown)]
    spans += _turns(shown)
    if not spans or _DIALOGUE.search(question):
        return []
    return sorted(span for span in spans if text[slice(*span)].strip() not in question)


def _turns(text: str) -> list[tuple[int, int]]:
    """Speakers' plain names at the start of a line: of both sides, or of one ("Human:") below the text's start."""
    named = list(_NAMED.finditer(text))
    sides = {_ASKING.get(match[1].lower(), "answers") for match in named}
    alone = [match for match in named if match[1] in ("Human", "USER", "ASSISTANT", "Assistant") and match.start() > 0]
    return [match.span() for match in (named if len(sides) == 2 else alone)]
