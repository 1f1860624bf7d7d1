"""The command line. The flags of a command are made from its settings; its body calls one function.

The bodies import heavy modules themselves, so that ``curate --help`` starts fast.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.commands.build.settings import BuildConfig
from curate.commands.cleaning_flags import CLEANING, with_cleaning
from curate.commands.dedupe.settings import DedupeConfig
from curate.commands.mix.settings import MixConfig
from curate.commands.pretrain_settings import PretrainConfig
from curate.commands.settings import ModelConfig
from curate.commands.workspace import dataset_of, file_settings, in_a_line, keep_workspace, resolve_settings
from curate.config.flags import Body, Flag, How, command
from curate.config.settings import ConfigError, load_yaml
from curate.errors import guarded

app = typer.Typer(
    name="curate", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Teach a chat model new facts, change nothing else.",
)  # fmt: skip

PREVIEW: dict[str, Flag] = {
    "preview": (int | None, typer.Option(
        min=1, help="Build only this many rows, show their marked tokens, and estimate the time for all rows."), None),
}  # fmt: skip
SOURCES: dict[str, Flag] = {
    "source": (list[str] | None, typer.Argument(
        help="PATH or NAME=PATH. Of rows that repeat each other, the row of the source named first is kept."), None),
}  # fmt: skip


def guarded_body(act: Body) -> Body:
    """The same body, which prints an error that a person can mend as a sentence instead of a traceback."""

    @wraps(act)
    def body(how: How, flags: dict[str, Any]) -> None:
        guarded(lambda: act(how, flags), how.debug)

    return body


def build(how: How, flags: dict[str, Any]) -> None:
    """Rewrite a source's answers in the base model's own words and mark the tokens that carry new knowledge."""
    from curate.commands.build.build import build as run_build
    from curate.commands.build.estimate import dry_run as estimate
    from curate.commands.build.preview import preview as look
    from curate.commands.build.summary import describe
    from curate.commands.peek import peek as peek_at
    from curate.commands.progress import Progress

    file, preview = file_settings(how.config, ModelConfig), flags.pop("preview", None)
    if not (flags.get("source") or file.get("source")):
        raise ConfigError("build needs --source: a file, a folder or a hub id with questions and answers")
    config = resolve_settings(BuildConfig, file, with_cleaning(flags, file))
    with Progress() as progress:
        if how.dry_run:
            _print(estimate(config), how.as_json, describe)
            return
        if preview:
            shown = look(config, preview, progress)
    if preview:
        if not how.as_json:
            peek_at(Path(shown["folder"]), rows=preview)
        _print(shown, how.as_json, describe)
        return
    with Progress() as progress:
        built = run_build(config, progress)
        if not built.nothing:
            keep_workspace(config, progress.say)
    _print(built.summary, how.as_json, describe)
    built.check()


def mix(how: How, flags: dict[str, Any]) -> None:
    """Mix a build with rehearsal that the base model answers itself, and write a training folder."""
    from curate.commands.mix.mix import estimate, sweep
    from curate.commands.mix.mix import mix as run_mix
    from curate.commands.mix.summary import describe
    from curate.commands.progress import Progress
    from curate.store.files import latest_settings

    file = file_settings(how.config, ModelConfig)
    built = latest_settings(Path(flags.get("work") or file.get("work") or MixConfig.model_fields["work"].default))
    if built and not (flags.get("build") or file.get("build")):
        print(f"curate: model settings from the latest build: {in_a_line(built)}", file=sys.stderr)
    file = {**file, **built, **(load_yaml(how.config) if how.config else {})}
    config = resolve_settings(MixConfig, file, with_cleaning(flags, file))
    with Progress() as progress:
        act = estimate if how.dry_run else sweep if config.sweep else run_mix
        result = act(config, progress)
    _print(result, how.as_json, describe)


def pretrain(how: How, flags: dict[str, Any]) -> None:
    """Write training data from plain text, for continued pre-training: rows without a prompt, and replay."""
    from curate.commands.pretrain import describe, text
    from curate.commands.pretrain import dry_run as estimate
    from curate.commands.progress import Progress

    file = file_settings(how.config, ModelConfig)
    if not (flags.get("source") or file.get("source")):
        raise ConfigError("pretrain needs --source: a text file, a folder of such, or records with a text column")
    config = resolve_settings(PretrainConfig, file, flags)
    with Progress() as progress:
        result = estimate(config) if how.dry_run else text(config, progress)
    _print(result, how.as_json, describe)


def dedupe(how: How, flags: dict[str, Any]) -> None:
    """Write sources without rows that repeat each other, other sets, or evaluation items."""
    from curate.commands.dedupe.dedupe import dedupe as run_dedupe
    from curate.commands.dedupe.dedupe import describe
    from curate.commands.progress import Progress

    file = load_yaml(how.config) if how.config else {}
    if not (flags.get("source") or file.get("source")):
        raise ConfigError("dedupe needs a source: files or folders, PATH or NAME=PATH")
    config = resolve_settings(DedupeConfig, file, flags)
    with Progress() as progress:
        result = run_dedupe(config, progress.say)
    _print(result, how.as_json, describe)


app.command("build")(command(BuildConfig, guarded_body(build), CLEANING | PREVIEW))
app.command("mix")(command(MixConfig, guarded_body(mix), CLEANING))
app.command("pretrain")(command(PretrainConfig, guarded_body(pretrain)))
app.command("dedupe")(command(DedupeConfig, guarded_body(dedupe), SOURCES, without=("dry_run",)))

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run, and stop.")]


@app.command()
def peek(
    folder: Annotated[Path, typer.Argument(help="A training folder, a built dataset, or the folder of the builds.")],
    rows: Annotated[int, typer.Option(min=0, help="Number of rows to show.")] = 5,
    drop: Annotated[str | None, typer.Option(help="Show rows dropped for this reason.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of rows.")] = 0,
) -> None:
    """Show tokens coloured by weight, and dropped rows by reason."""
    from curate.commands.peek import peek as show

    guarded(lambda: show(dataset_of(folder), rows=rows, drop=drop, seed=seed))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A training folder, a built dataset, or the folder of the builds.")],
    as_json: Json = False,
) -> None:
    """Check checksums, row accounting and the format of training folders. Exit code 1: something is wrong."""
    from curate.commands.verify import verify as check

    def act() -> None:
        findings = [str(finding) for finding in check(dataset_of(folder))]
        _print(
            {"folder": str(folder), "findings": findings}, as_json, lambda r: "\n".join(r["findings"]) or "all is well"
        )
        if findings:
            raise typer.Exit(1)

    guarded(act)


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(help="A training folder that `curate mix` wrote.")] = Path("out"),
    licence: Annotated[list[str] | None, typer.Option(
        help="Licence of a source, by its id on the Hub: med=cc-by-4.0. May be repeated.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a card that was edited.")] = False,
) -> None:  # fmt: skip
    """Write the data card of a training folder again, with licences that the sets' own cards do not state."""
    from curate.commands.evaluated import write_card

    pairs = [text.partition("=") for text in licence or []]
    if wrong := [name for name, equals, value in pairs if not (name and equals and value)]:
        raise typer.BadParameter(f"{wrong[0]!r}: expected SOURCE=LICENCE, such as med=cc-by-4.0")
    guarded(lambda: print(write_card(folder, {name: value for name, _, value in pairs}, force)))


@app.command()
def run(
    pipeline: Annotated[Path, typer.Argument(help="YAML with sections build, mix, sft, evaluate, report.")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="SECTION.KEY=VALUE, which replaces the file's value. May be repeated."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run this section alone. May be repeated.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Run a whole pipeline: each section of the file is one command, in order."""
    from curate.commands.pipeline import run_pipeline

    guarded(lambda: run_pipeline(pipeline, change or [], only or [], dry_run))


@app.command()
def schema(
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="A command with settings, of curate or of "
                                        "python -m train; or run: a whole pipeline.")],
) -> None:  # fmt: skip
    """Print the JSON schema of a command's YAML file or of a pipeline, by which editors complete and check."""
    from curate.commands.schema import schema as schema_of

    guarded(lambda: print(json.dumps(schema_of(name, app), ensure_ascii=False, indent=2)))


def main() -> None:
    app()


def _print(result: Any, as_json: bool, describe: Callable[[Any], str]) -> None:
    """Print a command's result: a dictionary, or the manifest that it wrote."""
    print(json.dumps(result, ensure_ascii=False, indent=2, default=_plain) if as_json else describe(result))


def _plain(value: Any) -> Any:
    from curate.export.manifest import TrainingManifest

    return value.entries() if isinstance(value, TrainingManifest) else str(value)
