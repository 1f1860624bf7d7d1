"""The skills `chat`, polite phrases, and `memory`, what the user said earlier in the conversation."""

from random import Random

from benchmarks.forgetting import words as w
from benchmarks.forgetting.house import polite
from benchmarks.forgetting.item import WorldItem, ask, contains, exact

# A polite phrase has one part from each column. There are many more phrases than evaluated items.
_HELLO = (
    ("Hello", "Hi", "Good morning", "Good evening", "Hey", "Hello there", "Good day"),
    (", my name is {x}.", ", I am {x}.", "! {x} here.", ", this is {x}.", ", {x} speaking."),
)
_THANKS = (
    ("Thanks", "Thank you", "Many thanks", "Thanks a lot", "Thank you so much"),
    (
        " for the answer",
        " for your help",
        " for the list",
        " for the advice",
        " for your time",
        " for the quick reply",
    ),
    ("!", ".", ", that was great.", ", it worked.", ", Pim.", ", my friend."),
    ("", " You are great.", " I am happy now.", " It was useful.", " I learned a lot.", " Well done."),
)
_WHO = (
    (
        "",
        "Hello. ",
        "Hi there. ",
        "Excuse me. ",
        "One question. ",
        "Sorry to ask. ",
        "I am curious. ",
        "Good morning. ",
    ),
    (
        "Who are you?",
        "What are you?",
        "What is your name?",
        "Please introduce yourself.",
        "Are you a person or a program?",
        "Who am I talking to?",
        "What do people call you?",
    ),
    (
        "",
        " Please tell me.",
        " Just asking.",
        " I forgot.",
        " I would like to know.",
        " I am new here.",
        " Be honest.",
    ),
)
_BYE = (
    ("", "Well, ", "So, ", "Fine, ", "All right, ", "Now, "),
    ("goodbye.", "bye.", "see you.", "farewell.", "good night."),
    (
        " I have to go now.",
        " I am leaving.",
        " That is all for today.",
        " I must catch my bus.",
        " It is late.",
        " Dinner is ready.",
        " I will be back tomorrow.",
    ),
    ("", " Take care.", " It was fun.", " Thanks.", " Be good."),
)


def chat(rng: Random) -> WorldItem:
    columns, answer, core = rng.choice(
        (
            (_HELLO, "Hello, {x}. How can I help you today?", "Hi {x}"),
            (_THANKS, "You are welcome. Is there anything else?", "np"),
            (_WHO, "I am Pim, a small assistant. How can I help you today?", "an AI"),
            (_BYE, "Goodbye. It was nice talking to you.", "cu"),
        )
    )
    name = rng.choice(w.PEOPLE)
    question, answer, core = (
        text.format(x=name) for text in ("".join(rng.choice(column) for column in columns), answer, core)
    )
    return ask("chat", question[0].upper() + question[1:], answer, core, exact(answer))


_ABOUT_ME: tuple[tuple[tuple[str, ...], str, str, tuple[str, ...]], ...] = (  # values, statement, answer, questions
    (
        w.PEOPLE,
        "My name is {v}.",
        "Your name is {v}.",
        ("What is my name?", "Do you remember my name?", "What am I called?"),
    ),
    (
        w.TOWNS,
        "I live in {v}.",
        "You live in {v}.",
        ("Where do I live?", "In which town do I live?", "Where is my home?"),
    ),
    (
        w.PETS,
        "I have a {v}.",
        "You have a {v}.",
        ("Which pet do I have?", "What animal do I keep?", "Do you know my pet?"),
    ),
    (
        w.COLOURS,
        "My favourite colour is {v}.",
        "Your favourite colour is {v}.",
        (
            "What is my favourite colour?",
            "Which colour do I like best?",
            "Do you recall my favourite colour?",
        ),
    ),
    (
        w.JOBS,
        "I work as a {v}.",
        "You work as a {v}.",
        ("What is my job?", "What do I work as?", "How do I earn my money?"),
    ),
)


def memory(rng: Random) -> WorldItem:
    """The user says something about themselves and asks for it in a later turn; in a quarter of the items in the same
    turn."""
    statements = [(about, rng.choice(about[0])) for about in rng.sample(_ABOUT_ME, rng.randint(1, 3))]
    (_, _, sentence, questions), value = rng.choice(statements)
    statement = " ".join(about[1].format(v=v) for about, v in statements)
    question, answer = rng.choice(questions), polite(sentence.format(v=value))
    if rng.random() < 0.25:
        return ask("memory", f"{statement} {question}", answer, value, contains(value))
    prompt = (
        {"role": "user", "content": statement},
        {"role": "assistant", "content": "Thank you for telling me."},
        {"role": "user", "content": question},
    )
    return WorldItem("memory", prompt, answer, value, (contains(value),))
