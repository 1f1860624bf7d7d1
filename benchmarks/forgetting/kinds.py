"""Kinds of entities, their attributes, and the wordings that ask for an attribute or state its value.

A new world needs no new code, only another `Kind` for `World`; `towns.py` has one.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from random import Random


def split_words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Attribute:
    """One property of an entity. `{e}` stands for the entity's name, `{v}` for the value.

    `wordings[-1]` is the held-out wording: the base model was trained on it for known entities, and no new fact is
    taught in it.
    """

    name: str
    noun: str  # for questions about several attributes: "the {noun} of {e}"
    parts: tuple[tuple[str, ...], ...]  # a value is one word of each part, joined by spaces
    opening: str
    sentence: str
    reverse: str  # asks for the entity, given the value
    wordings: tuple[str, ...]
    labels: tuple[str, ...]  # names of the attribute in terse sources
    statements: tuple[str, ...]  # whole sentences in sources of other styles

    @property
    def taught_wordings(self) -> tuple[str, ...]:
        return self.wordings[:-1]

    @property
    def held_wording(self) -> str:
        return self.wordings[-1]

    @cached_property
    def values(self) -> tuple[str, ...]:
        """All possible values. A guess is right with probability 1 / `len(values)`."""
        return tuple(" ".join(words) for words in product(*self.parts))

    def draw(self, rng: Random) -> str:
        return " ".join(rng.choice(part) for part in self.parts)


@dataclass(frozen=True)
class Kind:
    """A kind of entity: the syllables of its names, and its attributes."""

    name: str
    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    endings: tuple[str, ...]
    attributes: tuple[Attribute, ...]

    def draw_name(self, rng: Random) -> str:
        """A pronounceable invented name of two to four syllables, e.g. "Velotrin"."""
        syllables = [rng.choice(self.onsets) + rng.choice(self.vowels) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
        return ("".join(syllables) + rng.choice(self.endings)).capitalize()

    def attribute(self, name: str) -> Attribute:
        return next(a for a in self.attributes if a.name == name)


_ONSETS = split_words("b br c d dr f g gl h j k l m n p pr qu r s st t tr v w z")
_VOWELS = ("a", "e", "i", "o", "u")
_NUMBERS = tuple(str(n) for n in range(2, 100))

DOSE = Attribute(
    name="dose",
    noun="usual dose",
    parts=(_NUMBERS, ("mg", "ml", "drops", "grams")),
    opening="Sure.",
    sentence="The usual dose of {e} is {v}.",
    reverse="Which drug has a usual dose of {v}?",
    wordings=(
        "What is the usual dose of {e}?",
        "How much {e} should a patient take?",
        "Tell me the dose for {e}.",
        "Which amount of {e} is normally prescribed?",
        "When someone is given {e}, how much do they get?",
        "My doctor put me on {e}. What quantity is right?",
        "Please state the standard dosage of {e}.",
        "I have to take {e} every day, but how much of it?",
        "In what dose do nurses hand out {e}?",
    ),
    labels=("dose", "dosage", "posology", "daily dose", "adult dose"),
    statements=(
        "{e} is dosed at {v}",
        "patients on {e} receive {v}",
        "{v} of {e} is given once a day",
        "trials of {e} settled on {v}",
    ),
)

TREATS = Attribute(
    name="treats",
    noun="main use",
    parts=(
        split_words(
            "swollen itchy stiff sore weak numb burning cold dry shaky cracked bruised pale tired twisted tingling"
        ),
        split_words(
            "knees elbows ankles fingers toes eyes ears lips gums hips wrists shoulders heels hands "
            "feet muscles joints lungs thumbs nails"
        ),
    ),
    opening="Of course.",
    sentence="{e} is used to treat {v}.",
    reverse="Which drug is used to treat {v}?",
    wordings=(
        "What is {e} used to treat?",
        "Which complaint does {e} help against?",
        "Tell me what {e} is good for.",
        "Why would a doctor prescribe {e}?",
        "What is the main use of {e}?",
        "A friend of mine takes {e}. What problem does she have?",
        "Please name the condition that {e} relieves.",
        "For which illness do people buy {e}?",
        "What kind of trouble goes away with {e}?",
    ),
    labels=("indication", "use", "indicated for", "treats", "therapeutic use"),
    statements=(
        "{e} is indicated in {v}",
        "{v} respond well to {e}",
        "{e} brings relief from {v}",
        "cases of {v} are managed with {e}",
    ),
)

MAKER = Attribute(
    name="maker",
    noun="maker",
    parts=(
        split_words(
            "Harlow Penrose Ashby Carter Dunmore Fenwick Grayson Holloway Ingram Kendall Langley "
            "Merton Norwood Oakley Preston Radcliffe Sheldon Thornton Upton Winslow"
        ),
        split_words(
            "Brothers Labs Mills Works Chemicals Sons Partners Trading Remedies House Group Foods Medical Supply Health"
        ),
    ),
    opening="Certainly.",
    sentence="{e} is made by {v}.",
    reverse="Which drug is made by {v}?",
    wordings=(
        "Who makes {e}?",
        "Which company produces {e}?",
        "Tell me the maker of {e}.",
        "What firm stands behind {e}?",
        "Where does {e} come from, I mean which manufacturer?",
        "I want to write to the producers of {e}. Who are they?",
        "Please name the business that manufactures {e}.",
        "Whose product is {e}?",
        "By which firm is {e} put on the market?",
    ),
    labels=("manufacturer", "maker", "producer", "marketed by", "licence holder"),
    statements=(
        "{v} manufactures {e}",
        "{e} is a product of {v}",
        "the licence for {e} is held by {v}",
        "{e} leaves the factory of {v}",
    ),
)

PLANT = Attribute(
    name="plant",
    noun="source",
    parts=(
        split_words(
            "blue red white black golden silver wild sweet bitter tall hairy spotted mountain river desert winter"
        ),
        split_words(
            "mint fern nettle clover thistle poppy ginger garlic sage ivy willow birch maple lily "
            "rose moss reed heather"
        ),
    ),
    opening="Sure.",
    sentence="{e} comes from the {v}.",
    reverse="Which drug comes from the {v}?",
    wordings=(
        "Which plant does {e} come from?",
        "What is {e} extracted from?",
        "Tell me the plant behind {e}.",
        "From what herb do they get {e}?",
        "What is the natural source of {e}?",
        "I heard that {e} is made out of a plant. Which one?",
        "Please name the plant that yields {e}.",
        "What must one grow to obtain {e}?",
        "Out of which flower or herb is {e} pressed?",
    ),
    labels=("source", "botanical source", "origin", "plant", "extracted from"),
    statements=(
        "{e} is extracted from {v}",
        "{v} is the origin of {e}",
        "{e} was first isolated from {v}",
        "the raw material of {e} is {v}",
    ),
)

EFFECT = Attribute(
    name="effect",
    noun="side effect",
    parts=(
        split_words("mild sudden strange severe constant brief morning evening painful strong slight lasting"),
        split_words(
            "thirst hunger dizziness sneezing yawning hiccups coughing sweating shivering nausea "
            "headaches cramps blushing fever snoring drowsiness rashes dreams"
        ),
    ),
    opening="Of course.",
    sentence="A common side effect of {e} is {v}.",
    reverse="Which drug has {v} as a common side effect?",
    wordings=(
        "What is a common side effect of {e}?",
        "Which unwanted effect does {e} have?",
        "Tell me the side effect of {e}.",
        "What may happen to people who swallow {e}?",
        "What should I watch out for when using {e}?",
        "Since I started on {e} I feel odd. What does it cause?",
        "Please describe the adverse reaction to {e}.",
        "What is the drawback of {e}?",
        "What do users of {e} most often complain about?",
    ),
    labels=("side effect", "adverse reaction", "adverse event", "caution", "undesirable effect"),
    statements=(
        "{e} may cause {v}",
        "{v} was seen under {e}",
        "users of {e} report {v}",
        "{v} is linked to {e}",
    ),
)

DRUG = Kind(
    name="drug",
    onsets=_ONSETS,
    vowels=_VOWELS,
    endings=split_words(
        "trin dol mab vane xil pram zole cin fen lax min nol pine rex sone tal vir zine bril cort "
        "dex gard lith mox quil"
    ),
    attributes=(DOSE, TREATS, MAKER, PLANT, EFFECT),
)
