"""Marks of a speaker's turn in an answer, in the formats that models are trained on."""

import pytest

from curate.clean.check import clean
from curate.clean.rules import CleanRules
from curate.text.fidelity import check
from curate.text.role_markers import role_markers

RAN_ON = [
    "The dose is 37 mg.\n### Human: And for children?\n### Assistant: 12 mg.",
    "### Response:\nThe dose is 37 mg.",
    "The dose is 37 mg.\n\nHuman: And for children?",
    "The dose is 37 mg. <|im_end|>\n<|im_start|>user\nAnd for children?",
    "[INST] The dose? [/INST] The dose is 37 mg.",
    "The dose is 37 mg.<end_of_turn>",
    "The dose is 37 mg.<|eot_id|><|start_header_id|>user<|end_header_id|>",
    "USER: The dose?\nASSISTANT: The dose is 37 mg.",
    "**User:** The dose?\n**Assistant:** The dose is 37 mg.",
    "The dose is 37 mg.\n## Instruction: Translate it.",
    "Assistant: 37 mg.\nAssistant: The dose is 37 mg.",
]
PLAIN = [
    ("The dose is 37 mg.", "The dose?"),
    ("Human: a member of the species Homo sapiens.", "What is a human?"),
    ("User: Hi.\nAssistant: Hello.", "Write a dialogue between a user and an assistant."),
    ("It writes `<|im_start|>user` first.", "How does the model mark a turn?"),
    ("```\n### Human: {prompt}\n### Assistant:\n```", "How is a prompt written?"),
    ("The token <|im_end|> ends a turn.", "What does <|im_end|> do?"),
    ("## Response\nThe immune response is quick.", "Describe the immune response."),
    ("### Instructions\n1. Stir.\n2. Wait.", "Give the recipe."),
    ("System: the liver and its vessels.", "Which system?"),
]


@pytest.mark.parametrize("answer", RAN_ON)
def test_an_answer_that_marks_a_turn_is_left_out_and_no_faithful_rewrite(answer):
    assert role_markers(answer)
    findings = clean([{"role": "user", "content": "The dose?"}], answer, CleanRules()).findings
    assert "role-markers" in [finding.rule for finding in findings]
    off = clean([{"role": "user", "content": "The dose?"}], answer, CleanRules(role_markers=False)).findings
    assert "role-markers" not in [finding.rule for finding in off]
    problems = check(answer, reference="The dose is 37 mg.", question="The dose?")
    assert "leak" in [problem.kind for problem in problems]


@pytest.mark.parametrize(("answer", "question"), PLAIN)
def test_what_only_looks_like_one_is_left_alone(answer, question):
    assert role_markers(answer, question) == []
    findings = clean([{"role": "user", "content": question}], answer, CleanRules()).findings
    assert "role-markers" not in [finding.rule for finding in findings]
