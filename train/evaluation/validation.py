"""Check the harness's items before a model answers: the gold answer must pass, and an empty answer must fail."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from train.evaluation.harness import RIGHT, HarnessError, choices_of, document, score_of
from train.evaluation.suites import Item, Suite

FAR = -1e4  # log-probability of a rejected choice
IN_SENTENCES = frozenset({"length_constraints:number_sentences", "change_case:capital_word_frequency"})  # in IFEval
MOST = 0.05  # largest share of items to leave out; with more, the task itself is broken


def prove(suite: Suite) -> tuple[Suite, list[str]]:
    """The suite without the items that cannot be passed or cannot be failed, and these items' ids.

    (Three gold answers of NQ-open are articles, which its metric ignores.) For tasks without gold answers (IFEval),
    only the empty answer is tried. Items that need nltk's sentence data are left out if the data are not installed.
    Raises ``HarnessError`` if more than ``MOST`` of the items fail, since then the file or the task is broken.
    """
    tasks = suite.harness.tasks(suite.name)
    unsupported = [item.id for item in suite.items if _lacks_sentences(document(suite, tasks, item)[1])]
    suite = replace(suite, items=tuple(item for item in suite.items if item.id not in set(unsupported)))
    failed = [item.id for item in suite.items if not _discriminates(*document(suite, tasks, item), item)]
    if len(failed) > MOST * len(suite.items):
        raise HarnessError(f"--suite {suite.name}: the gold answer is not right, or an empty or wrong one is, in "
                           f"{len(failed)} of {len(suite.items)} items ({', '.join(failed[:5])} …); the file or the "
                           "task is broken")  # fmt: skip
    left = replace(suite, items=tuple(item for item in suite.items if item.id not in set(failed)))
    return left, sorted(unsupported + failed, key=_numbers)


def _discriminates(task: Any, doc: Any, item: Item) -> bool:
    if task.OUTPUT_TYPE not in _ANSWERS:
        return True
    if item.expected is None:
        return task.OUTPUT_TYPE != "generate_until" or _score(task, doc, [_filtered(task, doc, "")]) < RIGHT
    gold, empty = _ANSWERS[task.OUTPUT_TYPE](task, doc, item)
    return _score(task, doc, gold) >= RIGHT > _score(task, doc, empty)


def _lacks_sentences(doc: Any) -> bool:
    """Whether an item needs nltk's sentence data, and the data are not installed."""
    return not IN_SENTENCES.isdisjoint(doc.get("instruction_id_list") or ()) and not _has_sentences()


@lru_cache(maxsize=1)
def _has_sentences() -> bool:
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        return False
    return True


def _numbers(name: str) -> tuple[str, int]:
    """Sorts items by task and by number within the task."""
    task, _, number = name.rpartition("/")
    return task, int(number)


def _score(task: Any, doc: Any, results: list[Any]) -> float:
    metrics = task.process_results(doc, results)
    return score_of(task, metrics, list(metrics))


def _pick(task: Any, doc: Any, item: Item) -> tuple[list[Any], list[Any]]:
    """Log-probabilities that favour the right choice; then those that favour a wrong one, the last of the others."""
    choices = choices_of(task, doc)
    right = choices.index(str(item.expected))
    wrong = max(index for index in range(len(choices)) if index != right)
    return _only(right, len(choices)), _only(wrong, len(choices))


def _only(index: int, among: int) -> list[Any]:
    return [(0.0 if i == index else FAR, i == index) for i in range(among)]


def _continue(task: Any, doc: Any, item: Item) -> tuple[list[Any], list[Any]]:
    return [(0.0, True)], [(FAR, False)]


def _generate(task: Any, doc: Any, item: Item) -> tuple[list[Any], list[Any]]:
    """The gold answer and an empty answer, each after the task's filters."""
    return [_filtered(task, doc, _gold(task, doc))], [_filtered(task, doc, "")]


def _gold(task: Any, doc: Any) -> str:
    target = task.doc_to_target(doc)
    return str(target[0] if isinstance(target, list | tuple) else target)


def _filtered(task: Any, doc: Any, text: str) -> Any:
    from lm_eval.api.instance import Instance

    one = Instance(request_type="generate_until", doc=doc, arguments=("", {}), idx=0)
    one.resps = [text]
    task._instances = [one]
    task.apply_filters()
    return next(iter(one.filtered_resps.values()))


_ANSWERS = {"multiple_choice": _pick, "loglikelihood": _continue, "generate_until": _generate}
