"""`python -m benchmarks.mix.coverage dolly=FILE alpaca=FILE …`: what samples of rehearsal sets cover. A sample is drawn
in two ways: by hashed id alone, and spread over topics.

Three measures, each the mean over draws with different seeds. *Topics*: those of `curate.rehearsal.topics`. The second
way draws by them, so it covers them by construction. *Skills*: those below, recognised by English keywords, which the
topics do not use; only skills that occur in the set count. *Categories*: the set's own, where its rows have some
(Dolly), and the total variation distance, 0 to 1, between their shares in the sample and in the set.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from typing import Annotated, Any

import typer

from curate.ingest import Accepted, Source, read_source
from curate.rehearsal.cards import resolve
from curate.rehearsal.topics import Topics, order, topics
from curate.text.questions import question_of

SIZES = (50, 100, 200, 500)
SEEDS = 20
READ = 400  # first characters of a prompt, which are searched for the keywords of skills
SKILLS = {
    "translate": r"\btranslat",
    "poem": r"\b(poem|haiku|rhyme|limerick|sonnet|lyrics|verse)\b",
    "code": r"\b(python|javascript|java|c\+\+|html|css|sql|code|algorithm|function)\b",
    "maths": r"\b(calculate|solve|equation|sum of|square root|multiply|divide|probability|what is \d+)",
    "summarise": r"\b(summar|tl;?dr|shorten|condense)",
    "rewrite": r"\b(rewrite|paraphrase|rephrase|reword)",
    "grammar": r"\b(grammar|correct the|edit the|punctuat|typo)",
    "classify": r"\b(classif|categori[sz]e|identify which|which of (these|the following)|sort the|label)",
    "extract": r"\b(extract|list (all )?the .* (mentioned|in the)|from the (passage|text|paragraph))",
    "story": r"\b(story|tale|fiction|dialogue|plot|screenplay)\b",
    "letter": r"\b(e-?mail|letter|cover letter|memo)\b",
    "recipe": r"\b(recipe|cook|bake|ingredients)\b",
    "ideas": r"\b(brainstorm|ideas|slogan|tagline|suggest|come up with)\b",
    "compare": r"\b(compare|contrast|difference between|differ from)\b",
    "explain": r"^(why|how)\b|\bexplain\b",
    "sentiment": r"\b(sentiment|tone|emotion|positive or negative)\b",
    "table": r"\b(json|csv|table|spreadsheet|xml|bullet)\b",
    "define": r"\b(synonym|antonym|define|definition|meaning of)\b",
    "joke": r"\b(joke|pun|funny|humou?r)\b",
    "travel": r"\b(travel|trip|itinerary|visit|vacation)\b",
    "health": r"\b(health|doctor|symptom|disease|diet|exercise)\b",
}

Draw = Callable[[int], list[str]]
"""seed -> all ids, in the order in which a sample takes them."""
Row = dict[str, Any]


def read(spec: str) -> tuple[str, dict[str, Row]]:
    """The name of a set, and its rows by id as ``curate mix --rehearsal`` reads them, duplicates included."""
    source = resolve(spec)
    if not isinstance(source, Source):
        raise typer.BadParameter(f"{spec}: made here, nothing to read; name a file (dolly=FILE)")
    return source.label, {one.row["id"]: one.row for one in read_source(source, None) if isinstance(one, Accepted)}


def skills(text: str) -> set[str]:
    """
    >>> sorted(skills("Write a poem that explains why Python is fun"))
    ['code', 'poem']
    """
    return {name for name, words in SKILLS.items() if re.search(words, text[:READ].casefold())}


def plain(ids: Sequence[str]) -> Draw:
    """The draw by hashed id alone."""
    return lambda seed: sorted(ids, key=lambda name: hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest())


def spread(of_prompts: Topics) -> Draw:
    """The draw that is spread over topics."""
    return lambda seed: order(of_prompts, seed)


def covered(draw: Draw, size: int, has: Mapping[str, Set[Hashable]]) -> float:
    """How many different values of ``has`` the rows of a sample have, mean over draws. ``has``: values by row id."""
    return sum(len(frozenset().union(*(has[name] for name in draw(seed)[:size]))) for seed in range(SEEDS)) / SEEDS


def distance(draw: Draw, size: int, kind: dict[str, str]) -> float:
    """Total variation distance between the shares of kinds in a sample and in the set, mean over draws."""
    whole, total = Counter(kind.values()), 0.0
    for seed in range(SEEDS):
        part = Counter(kind[name] for name in draw(seed)[:size])
        total += sum(abs(part[k] / part.total() - whole[k] / whole.total()) for k in whole) / 2
    return total / SEEDS


def compare(rows: dict[str, Row]) -> list[str]:
    """The table's lines for one set."""
    texts = {name: question_of(row["prompt"]) for name, row in rows.items()}
    by_topic = topics(texts)
    draws = (plain(list(rows)), spread(by_topic))
    skills_of = {name: skills(text) for name, text in texts.items()}
    about = {name: {topic} for name, topic in by_topic.of.items()}
    kind = {name: str(json.loads(row["meta"]).get("category")) for name, row in rows.items()}
    kind_sets = {name: {k} - {"None"} for name, k in kind.items()}
    lines = []
    for size in SIZES:
        cells = [f"{size:5}", f"{len(by_topic.words):7}", *(f"{covered(draw, size, about):10.1f}" for draw in draws)]
        cells += [
            f"{len(set().union(*skills_of.values())):7}",
            *(f"{covered(draw, size, skills_of):10.1f}" for draw in draws),
        ]
        if any(kind_sets.values()):
            cells += [
                f"{len(set().union(*kind_sets.values())):7}",
                *(f"{covered(draw, size, kind_sets):10.1f}" for draw in draws),
            ]
            cells += ["       ", *(f"{distance(draw, size, kind):10.3f}" for draw in draws)]
        lines.append("".join(cells))
    return lines


def main(specs: Annotated[list[str], typer.Argument(help="sets, as --rehearsal takes them: dolly=FILE")]) -> None:
    """Topics, skills and categories in samples, by hashed id alone and spread over topics."""
    head = "".join(f"{name:>7}{'by id':>10}{'by topic':>10}" for name in ("topics", "skills", "own", "shares"))
    for spec in specs:
        name, rows = read(spec)
        typer.echo(f"{name}: {len(rows):,} rows\n rows{head}")
        typer.echo("\n".join(compare(rows)))


if __name__ == "__main__":
    typer.run(main)
