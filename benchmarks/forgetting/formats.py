"""The skill `format`: answers in a given form, which is one word, capitals, bullets, or an exact number of things."""

from random import Random

from benchmarks.forgetting import words as w
from benchmarks.forgetting.item import WorldItem, ask, exact, regex


def _one_word(rng: Random) -> WorldItem:
    if rng.random() < 0.5:
        word, opposite = rng.sample(rng.choice(w.OPPOSITES), 2)
        frames = (
            "What is the opposite of {x}? Answer with one word.",
            "In one word: what is the opposite of {x}?",
            "Give me the opposite of {x}, one word only.",
            "Opposite of {x}? Use a single word.",
            "Reply with exactly one word. What is the contrary of {x}?",
        )
        answer = opposite.capitalize()
    else:
        category = rng.choice(tuple(w.CATEGORIES))
        word, answer = rng.choice(w.CATEGORIES[category]), category.capitalize()
        frames = (
            "Does {x} belong to animals, fruits, colours, tools or what? Answer with one word.",
            "In one word: which group does {x} belong to?",
            "Name the group of {x}, one word only.",
            "Group of {x}? Use a single word.",
            "Reply with exactly one word. What kind of thing is {x}?",
        )
        return ask("format", rng.choice(frames).format(x=word), answer, answer.lower(), *_groups_of(word))
    return ask("format", rng.choice(frames).format(x=word), answer, opposite, exact(answer))


def _groups_of(word: str) -> tuple[dict[str, str], ...]:
    groups = [c.capitalize() for c, members in w.CATEGORIES.items() if word in members]
    return (regex(rf"^({'|'.join(groups)})$"),)


def _upper_case(rng: Random) -> WorldItem:
    text = " ".join(rng.sample(w.COMMON, rng.randint(2, 4)))
    frames = (
        "Write this in upper case: {x}",
        "Put these words into capital letters: {x}",
        "{x} - all in capitals, please.",
        "Shout these words in capital letters: {x}",
        "Answer in upper case only. Repeat: {x}",
    )
    return ask(
        "format",
        rng.choice(frames).format(x=text),
        text.upper(),
        text.upper(),
        exact(text.upper()),
        key=f"upper {text}",
    )


def _bullets(rng: Random) -> WorldItem:
    xs = rng.sample(w.COMMON, rng.randint(2, 5))
    numbered = rng.random() < 0.3
    frames = (
        ("Make a numbered list: {x}", "Number these words: {x}", "Write as a list with numbers: {x}")
        if numbered
        else (
            "Make a bullet list: {x}",
            "Write these as bullets: {x}",
            "Put each word on a line of its own with a dash: {x}",
        )
    )
    answer = "\n".join(f"{i}. {x}" if numbered else f"- {x}" for i, x in enumerate(xs, 1))
    question = rng.choice(frames).format(x=", ".join(xs))
    return ask("format", question, answer, ", ".join(xs), exact(answer), key=f"bullets {numbered} {' '.join(xs)}")


def _exactly_n(rng: Random) -> WorldItem:
    category, n = rng.choice(tuple(w.CATEGORIES)), rng.randint(2, 6)
    members = w.CATEGORIES[category]
    frames = (
        "Name exactly {n} {c}.",
        "List {n} {c}, no more and no less.",
        "Give me {n} {c} as bullets.",
        "I need a list of exactly {n} {c}.",
        "Tell me {n} {c}, one on each line.",
        "Write down {n} {c}.",
        "Which {n} {c} come to your mind?",
        "Please list {n} {c}.",
    )
    answer = "\n".join(f"- {m}" for m in members[:n])
    check = regex(rf"^(- ({'|'.join(members)})(\n(?=-)|$)){{{n}}}$")
    return ask("format", rng.choice(frames).format(n=n, c=category), answer, ", ".join(members[:n]), check)


def formats(rng: Random) -> WorldItem:
    return rng.choice((_one_word, _upper_case, _bullets, _exactly_n))(rng)
