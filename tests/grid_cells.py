"""Cells of the grid without training: a builder for one, and a whole grid of made-up methods."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from random import Random

from benchmarks.forgetting.grid.cell import Cell, Cost, Ending, Key, Outcome, save
from benchmarks.forgetting.suites import SIZES

RATES = (5e-5, 1e-4, 2e-4, 4e-4, 8e-4)
KNOWLEDGE = {"new_trained": 300, "new_tuning": 300, "new_unseen": 300, "new_both": 200, "new_reverse": 200, "known": 80}
LOCALITY = {"near_known": 150, "near_unknown": 150, "near_attribute": 150}


@dataclass(frozen=True)
class FakeMethod:
    name: str
    label: str
    family: str = "rival"
    paper: str = ""
    regenerated: bool = False


def outcome(items: int, before: int, after: int) -> Outcome:
    """The least flips that lead from one count to the other."""
    lost, gained = list(range(after, before)), list(range(before, after))
    return Outcome(items=items, before=before, after=after, lost=lost, gained=gained)


def make_cell(
    method: str = "sft", lr: float = 4e-4, seed: int = 0, *, recall: float = 0.5, retention: float = 0.9,
    setting: str = "drugs", budget: str = "rich", kept: dict[str, float] | None = None,
    recalls: dict[str, float] | None = None, seconds: float = 60.0, before: float = 1.0,
) -> Cell:  # fmt: skip
    """A whole cell. ``recall`` and ``retention`` hold for every suite; ``recalls`` and ``kept`` for single ones."""
    kept = dict.fromkeys(SIZES, retention) | (kept or {})
    recalls = dict.fromkeys(KNOWLEDGE, recall) | {"known": 1.0} | (recalls or {})
    right = {name: round(recalls[name] * items) for name, items in KNOWLEDGE.items()}
    return Cell(
        key=Key(setting=setting, budget=budget, method=method, lr=lr, seed=seed),
        rate=lr,
        retention={n: outcome(i, round(before * i), round(kept[n] * i)) for n, i in SIZES.items()},
        knowledge={n: outcome(i, i if n == "known" else 0, right[n]) for n, i in KNOWLEDGE.items()},
        lenient=right,
        strict={name: count * 9 // 10 for name, count in right.items()},
        refused={"refusal": round(kept["refusal"] * SIZES["refusal"]), "lookalike": 2},
        style_kept=1900, style_before=2000,
        locality={n: outcome(i, i, round(retention * i)) for n, i in LOCALITY.items()},
        ending=Ending(answers=4000, unfinished=4, repeated=2),
        kl_old=0.01, kl_new=1.5,
        cost=Cost(steps=240, rows=7680, tokens=412_345, base_tokens=1_234_567, seconds=seconds),
        versions={"torch": "2.13.0"},
    )  # fmt: skip


def save_all(cells: Iterable[Cell], folder: Path) -> Path:
    for cell in cells:
        save(cell, folder)
    return folder


RIVALS = (
    "Plain SFT", "EWC", "Synaptic Intelligence", "L2-SP", "LoRA r8", "LoRA r64", "DoRA", "IA³", "Prefix tuning",
    "Prompt tuning", "Frozen lower half", "Rehearsal 30 %", "Rehearsal 50 %", "Rehearsal, distilled", "WiSE-FT 0.5",
    "KL on all tokens", "LwF", "GEM", "A-GEM", "PCGrad", "SDFT", "DFT", "STM", "ProFit", "MixSD", "S3FT",
    "Null-space LoRA", "SFT + 30 % rehearsal, the set's answers",
)  # fmt: skip
REGENERATED = ("SDFT", "MixSD", "S3FT", "DFT", "STM", "ProFit")
OURS = ("curate",)
VARIANTS = ("curate, splices only", "curate, no mask", "curate, no KL anchor")
CONTROLS = ("Joint training", "Random labels")


def many_methods() -> dict[str, FakeMethod]:
    """Thirty and some, of all families; "plain-sft" and "curate" among them."""
    groups = {"rival": RIVALS, "ours": OURS, "variant": VARIANTS, "control": CONTROLS}
    families = [(family, label) for family, labels in groups.items() for label in labels]
    methods = [
        FakeMethod(_slug(label), label, family, f"arXiv 2401.{i:05}" if family == "rival" and i else "",
                   regenerated=family in ("ours", "variant") or label in REGENERATED)
        for i, (family, label) in enumerate(families)
    ]  # fmt: skip
    return {method.name: method for method in methods}


def _slug(label: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in label.lower().replace("³", "3")).strip("-")


def many_cells(methods: dict[str, FakeMethod], setting: str = "drugs", budget: str = "rich") -> list[Cell]:
    """Curves as a grid has them: recall rises with the rate, retention falls; seeds 1 and 2 at the fourth rate."""
    cells = []
    for method in methods.values():
        rng = Random(f"{setting} {budget} {method.name}")
        reach, harm = _character(method, rng)
        for place, lr in enumerate(RATES):
            cells += [_noisy(Key(setting=setting, budget=budget, method=method.name, lr=lr, seed=seed), reach, harm)
                      for seed in range(3 if place == 3 else 1)]  # fmt: skip
    return cells


def _character(method: FakeMethod, rng: Random) -> tuple[float, float]:
    """(recall that it reaches, what it loses at 4e-4)."""
    if method.family in ("ours", "variant"):
        return 0.98 + rng.random() * 0.02, 0.001 * exp(rng.random() * 2)
    if method.regenerated:
        return 0.99, exp(rng.uniform(log(0.002), log(0.3)))
    return rng.random() ** 1.3 * 0.99, exp(rng.uniform(log(0.01), log(0.7)))


def _noisy(key: Key, reach: float, harm: float) -> Cell:
    rng = Random(str(key.path()))
    steps = log(key.lr / 4e-4) / log(2)
    recall, loss = reach / (1 + exp(-2.2 * (steps + 2))), harm * 2**steps
    kept = {name: _share(0.998 - loss * rng.uniform(0.2, 1.8) + rng.gauss(0, 0.001)) for name in SIZES}
    recalls = {name: _share(recall + rng.gauss(0, 0.008)) for name in KNOWLEDGE if name != "known"}
    return make_cell(key.method, key.lr, key.seed, kept=kept, recalls=recalls, retention=_share(1 - harm),
                     setting=key.setting, budget=key.budget, before=0.998)  # fmt: skip


def _share(value: float) -> float:
    return max(0.0, min(1.0, value))
