"""Training data: curate's own build and mix make a training folder from a recipe, once."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from benchmarks.forgetting.grid.dirt import Dirt
from benchmarks.forgetting.grid.marks import Remark
from benchmarks.forgetting.grid.mixed import Mixed
from benchmarks.forgetting.grid.settings import Setting
from curate.commands.build.build import ingest
from curate.commands.build.settings import BuildConfig
from curate.commands.build.stages import FitsContext, stages
from curate.commands.mix.mix import mix
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.mask.policies import REGISTRY
from curate.model.engine import EngineConfig
from curate.model.folder import model_hash
from curate.model.prompts import load_prompts
from curate.rewrite.regenerate import Regenerate
from curate.store.disk import fingerprint
from curate.store.files import read_dataset
from curate.store.runner import run_stage
from curate.store.stage import Stage

GENERAL = "general"
"""Name of the world's own rehearsal set."""

NEW = "med"
"""Name of the source of new facts, the stem of its file."""

VERSION = 10
"""Raise it when a change of code gives a recipe other rows. Finished folders are found by this number, the recipe and
the base model."""

ENGINE = {"dtype": "float32", "max_tokens": 48, "shard_rows": 256, "max_drop": 1.0}
"""Settings of every build and mix here, beside the model and the engine."""


@dataclass(frozen=True)
class Recipe:
    """The training data of a method.

    text: "source", "regenerated", or "mixed-λ" (MixSD). mask: a policy of curate, or "random", "inverted", "oracle".
    rehearsal: ``general``, or names of prompts that ``curate mix --rehearsal`` makes. answers: of rehearsal; "own", the
    base model's, or "given", the set's. ratio: share of new rows. fresh: whether there is rehearsal for all steps, as
    far as the prompts last, so that new rows repeat and rehearsal does not; otherwise rehearsal for one pass over the
    new rows, and all rows repeat. splice_words: the source of the random words of splices.
    """

    text: str = "regenerated"
    mask: str = "key"
    rehearsal: tuple[str, ...] = ()
    answers: str = "own"
    ratio: float = 0.5
    fresh: bool = True
    guard: bool = False
    splice_words: str = "vocabulary"
    wordings: int = 1  # wordings of each question; the base model writes those after the first
    seed: int = 0  # of the mask "random"


@dataclass(frozen=True)
class Place:
    """The folder with the files of one setting and budget."""

    setting: Setting
    budget: str
    work: Path

    @property
    def folder(self) -> Path:
        return self.work / f"{self.setting.name}-{self.budget}"

    @property
    def _model(self) -> str:
        return str(self.setting.scale.base)

    def _base(self, recipe: Recipe) -> dict[str, str]:
        """The base model and its engine. Mixed answers need the model in this process."""
        mixed = recipe.text.startswith("mixed-")
        return {"model": self._model, "engine": "transformers" if mixed else self.setting.scale.engine}

    @property
    def _one_pass(self) -> dict[str, int]:
        """Settings of a training split for one pass. Where each fact has one wording, a new row is repeated two dozen
        times."""
        return {"size": self.setting.scale.size, "max_repeat": self.setting.scale.max_repeat}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A lock: only one process at a time makes files in this folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def world_files(self) -> Path:
        out = self.folder / "world"
        if not (out / "suites").is_dir():
            self.setting.write(self.budget, out)
        return out

    def export(self, recipe: Recipe) -> Path:
        """The training folder of a recipe."""
        out = self.folder / f"mix-{fingerprint(VERSION, asdict(recipe), model_hash(EngineConfig(self._model)))}"
        with self.alone(), Progress() as progress:
            if not (out / "manifest.json").is_file():
                built = self.built(recipe, progress)
                mix(self._blend(recipe, built, out), progress)
        return out

    def built(self, recipe: Recipe, progress: Progress) -> Path:
        """The built dataset of a recipe: rows with marks."""
        config = self._build(recipe)
        base, prompt_texts = config.base(), load_prompts(None)
        fits = FitsContext(base, prompt_texts[config.prompt_text], config.max_tokens)
        folder = ingest(config, base, prompt_texts, fits, progress)
        for stage in self._stages(recipe, stages(config, base, prompt_texts, folder)):
            folder = run_stage(stage, folder, config.out, 1.0, progress)
        return folder

    def table(self, recipe: Recipe, columns: Sequence[str]) -> pa.Table:
        """Columns of a recipe's built dataset."""
        with Progress() as progress:
            return read_dataset(self.built(recipe, progress), columns)

    def _build(self, recipe: Recipe) -> BuildConfig:
        return BuildConfig.model_validate({
            **ENGINE, **self._base(recipe), "source": str(self.world_files() / f"{NEW}.jsonl"),
            "kind": self.setting.kind, "out": self.folder / "builds", "workspace": False, "wordings": recipe.wordings,
            "mode": "source" if recipe.text == "source" else "rewrite",
            "mask": recipe.mask if recipe.mask in REGISTRY else "key",
        })  # fmt: skip

    def _stages(self, recipe: Recipe, stages: list[Stage]) -> Iterator[Stage]:
        """curate's stages, and the benchmark's own stages where the recipe needs them."""
        for stage in stages:
            if isinstance(stage, Regenerate) and recipe.text != "source":
                yield from self._rewriting(recipe, stage)
            else:
                yield stage
        if recipe.mask not in REGISTRY:
            yield Remark(recipe.mask, self.answers(), recipe.seed)

    def _rewriting(self, recipe: Recipe, stage: Regenerate) -> Iterator[Stage]:
        yield replace(stage, temperature=1.0) if self.setting.dirty else stage
        if recipe.text.startswith("mixed-"):
            share = float(recipe.text.removeprefix("mixed-"))
            yield Mixed(stage.base, stage.prompts[0], share, answers=self.answers())
        if self.setting.dirty:
            yield Dirt(seed=self.setting.world.seed)

    def answers(self) -> tuple[tuple[str, str], ...]:
        """(question, value) of every row that teaches a new fact."""
        return self.setting.answers(self.budget)

    def _blend(self, recipe: Recipe, built: Path, out: Path) -> MixConfig:
        files = {GENERAL: f"{GENERAL}={self.world_files() / 'rehearsal.jsonl'}"}
        return MixConfig.model_validate({
            **ENGINE, **self._base(recipe), "build": built, "work": self.folder / "builds", "out": out,
            "rehearsal": [files.get(name, name) for name in recipe.rehearsal], "answers": recipe.answers,
            "ratio": recipe.ratio if recipe.rehearsal else 1.0, "validation": 0, "guard": recipe.guard,
            "splice_words": recipe.splice_words, "stratify": False,  # the stored cells are older than stratification
            **(self._one_pass if recipe.fresh and recipe.rehearsal else {}),
        })  # fmt: skip
