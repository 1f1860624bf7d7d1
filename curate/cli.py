"""The command line. Each verb settles its configuration (flags, --config, curate.yaml) and calls one function.

Heavy modules are imported inside the verbs: ``curate --help`` must answer at once.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="curate", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Teach a chat model new facts, change nothing else.",
)  # fmt: skip

WORKSPACE = Path("curate.yaml")
"""Written by the first build in a folder: the model that the other commands take when they are not told."""

MANY = 10  # settings of a group from which on it is not spelled out among the defaults taken

Config = Annotated[Path | None, typer.Option(help="YAML file with this command's settings; flags win over it.")]
Model = Annotated[str | None, typer.Option(help="Base model: a folder or a hub id. Default: the one in curate.yaml.")]
Revision = Annotated[str | None, typer.Option(help="Revision of a hub model.")]
Engine = Annotated[str | None, typer.Option(help="auto (vLLM where installed), vllm, transformers or server.")]
Url = Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server, for --engine server.")]
Dtype = Annotated[str | None, typer.Option(help="auto, float32, bfloat16 or float16.")]
Context = Annotated[int | None, typer.Option(help="Context in tokens; default: what the model allows, at most 4096.")]
Trust = Annotated[bool | None, typer.Option(help="Run code that comes with the model. Off unless asked.")]
TemplateArgs = Annotated[str | None, typer.Option(
    help="Variables of the model's chat template: enable_thinking=false,reasoning_effort=low.")]  # fmt: skip
Thoughts = Annotated[str | None, typer.Option(
    help="Of a model that thinks before it answers: drop (rows show an empty thought) or anchor (its own, held and "
    "never labelled). Default: drop.")]  # fmt: skip
Work = Annotated[Path | None, typer.Option(help="Folder of the stages' output (resumes from it).")]
MaxTokens = Annotated[int | None, typer.Option(help="Longest answer, in tokens, the thought before it included.")]
MaxDrop = Annotated[float | None, typer.Option(help="Stop when a stage drops more than this share of its rows.")]
ShardRows = Annotated[int | None, typer.Option(help="Rows a shard: the unit of work and of resume.")]
Clean = Annotated[list[str] | None, typer.Option(
    help="Rules for the rows that are read, RULE=VALUE: toxic=off,top_2gram=0.3; or off, for none. May be repeated; "
    "docs/cleaning.md has them all.")]  # fmt: skip
Languages = Annotated[str | None, typer.Option(help="Languages that a row may be in: en,vi. Default: any.")]
Judge = Annotated[bool | None, typer.Option(
    "--judge", help="Let the base model judge the rows' quality and toxicity too.")]  # fmt: skip
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Ray = Annotated[str | None, typer.Option(help="Address of a Ray cluster ('local' starts one here).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def build(
    source: Annotated[str | None, typer.Option(help="File, folder or hub id with questions and answers.")] = None,
    kind: Annotated[str | None, typer.Option(
        help="qa: questions and answers; text: documents, about which the base model asks and answers.")] = None,
    column: Annotated[str | None, typer.Option(
        help="Column of documents in files of records, with --kind text. Default: text.")] = None,
    questions: Annotated[int | None, typer.Option(help="Asked about each passage, with --kind text. 3.")] = None,
    passage_tokens: Annotated[int | None, typer.Option(help="Longest passage, with --kind text. 512.")] = None,
    model: Model = None,
    revision: Revision = None,
    engine: Engine = None,
    url: Url = None,
    dtype: Dtype = None,
    max_model_len: Context = None,
    trust_remote_code: Trust = None,
    template_args: TemplateArgs = None,
    thoughts: Thoughts = None,
    out: Work = None,
    workspace: Annotated[bool | None, typer.Option(help="Write curate.yaml where there is none.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source; default: the file's.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which column is what: question=ask,answer=answer.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding of the source, where it is not UTF-8.")] = None,
    all_turns: Annotated[bool | None, typer.Option(help="One row per assistant turn, not only the last.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of a hub dataset.")] = None,
    wordings: Annotated[int | None, typer.Option(help="Ways of asking each question; the model rephrases.")] = None,
    mode: Annotated[str | None, typer.Option(help="rewrite, or correct (the draft, as few words changed).")] = None,
    attempts: Annotated[int | None, typer.Option(
        help="Times that rewrites are asked for, several each time, with each prompt in turn. 3.")] = None,
    calibrate: Annotated[int | None, typer.Option(
        help="First rows on which the shipped prompts for a rewrite, or yours, are tried; the best is taken. 0: the "
        "first prompt, untried. Default: 32.")] = None,
    fallback: Annotated[str | None, typer.Option(help="No faithful rewrite: reference (wording) or drop.")] = None,
    max_tokens: MaxTokens = None,
    mask: Annotated[str | None, typer.Option(
        help="key, diff, argmax, unexplained, low-perplexity, soft or all.")] = None,
    thresholds: Annotated[str | None, typer.Option(
        help="Where the mask cuts, in nats: gain=1,confident=-0.92,lift=0.5,beside=0.1,normal=-0.92,"
        "thin_air=-6.9,temperature=0.5; those left out keep these defaults.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Log-probabilities kept per token, for the anchors.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language of the source (spaCy's codes).")] = None,
    clean: Clean = None,
    languages: Languages = None,
    judge: Judge = None,
    glossary: Annotated[Path | None, typer.Option(help="Text file: terms that must be kept whole and exact.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Folder with your own rewrite.jinja, correct.jinja.")] = None,
    exclude: Annotated[Path | None, typer.Option(
        help="Text file: ids of rows to leave out, one a line, # begins a comment. ID: the row and all its wordings; "
        "ID-w1: that wording. They are marked `excluded`; nothing is deleted.")] = None,
    test: Annotated[float | None, typer.Option(
        help="Share of the facts never trained on, each with all rows that may tell it; a suite asks for them. What a "
        "model answers there it was never taught: right answers are guesses, wrong ones made up. Beside them it asks "
        "for as many facts that are trained. Default: 0.")] = None,
    seed: Seed = None,
    max_drop: MaxDrop = None,
    shard_rows: ShardRows = None,
    ray: Ray = None,
    config: Config = None,
    preview: Annotated[int | None, typer.Option(
        min=1, help="Build so many rows only, show them with what is marked, and estimate the time of all.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Rewrite a source's answers in the base model's own words and mark the tokens that carry new knowledge."""
    given = {k: v for k, v in locals().items() if k not in ("config", "preview", "dry_run", "as_json")}
    if columns is not None:
        given["columns"] = _columns(columns)
    if thresholds is not None:
        given["thresholds"] = _numbers(thresholds, "gain=1,lift=0.5")
    _run(lambda: _build(given, config, preview, dry_run, as_json))


def _build(
    given: dict[str, Any], config: Path | None, preview: int | None, dry_run: bool, as_json: bool
) -> None:  # fmt: skip
    from curate.build import BuildConfig, ModelConfig, build, describe
    from curate.build import dry_run as estimate
    from curate.config import ConfigError
    from curate.peek import peek as peek_at
    from curate.preview import preview as look
    from curate.progress import Progress

    file = _settings(config, ModelConfig)
    if not (given["source"] or file.get("source")):
        raise ConfigError("build needs --source: a file, a folder or a hub id with questions and answers")
    settled = _settle(BuildConfig, file, _cleaning(given, file))
    with Progress() as progress:
        if dry_run:
            _print(estimate(settled), as_json, describe)
            return
        if preview:
            shown = look(settled, preview, progress)
    if preview:
        if not as_json:
            peek_at(Path(shown["folder"]), rows=preview)
        _print(shown, as_json, describe)
        return
    with Progress() as progress:
        built = build(settled, progress)
        if not built.nothing:
            _keep_workspace(settled, progress.say)
    _print(built.summary, as_json, describe)
    built.check()


@app.command()
def mix(
    ratio: Annotated[float | None, typer.Option(help="Share of new knowledge; 1 means no rehearsal.")] = None,
    sweep: Annotated[str | None, typer.Option(
        help="Several ratios, 0.5,0.7,0.9: a training folder for each; `train sft` trains them all.")] = None,
    by: Annotated[str | None, typer.Option(help="What the ratio counts: rows, tokens or targets.")] = None,
    rehearsal: Annotated[list[str] | None, typer.Option(
        help="A set by its card (dolly), a local file in a set's schema (alpaca=a.json), any file (name=path), or "
        "prompts made here: splice, neighbours, self, guard. May be repeated. Default: neighbours.")] = None,
    guard: Annotated[bool | None, typer.Option(
        "--guard/--no-guard", help="Hold the model's answers to harmful prompts and their look-alikes. On.")] = None,
    splice_words: Annotated[str | None, typer.Option(
        help="Random words of splices: of new rows, of the rehearsal read, vocabulary (the tokenizer's), or self (the "
        "model's own prompts).")] = None,
    answers: Annotated[str | None, typer.Option(help="Rehearsal answers: own (the base model's) or given.")] = None,
    stratify: Annotated[bool | None, typer.Option(
        "--stratify/--no-stratify", help="Sample a set that is larger than needed by topic. On.")] = None,
    weights: Annotated[str | None, typer.Option(help="Shares of the rehearsal sets: dolly=2,self=3; others 1.")] = None,
    clean: Clean = None,
    languages: Languages = None,
    judge: Judge = None,
    temperature: Annotated[float | None, typer.Option(
        help="Shares of the rehearsal sets by their sizes: size^(1/T); 1 is proportional, large T equal.")] = None,
    build: Annotated[Path | None, typer.Option(help="Built dataset. Default: the latest in --work.")] = None,
    work: Work = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the training shards. Default: out.")] = None,
    suites: Annotated[list[Path] | None, typer.Option(
        help="File or folder of evaluation items; rows that hold one are left out. May be repeated.")] = None,
    cards: Annotated[Path | None, typer.Option(help="Folder of your own data cards. Default: data_cards.")] = None,
    size: Annotated[int | None, typer.Option(
        help="Size of the training split, counted as the ratio is; new rows repeat beside rehearsal that does not. "
        "Default: every new row once.")] = None,
    max_repeat: Annotated[int | None, typer.Option(help="How often a row may stand in the training split.")] = None,
    validation: Annotated[float | None, typer.Option(help="Share of the questions held out.")] = None,
    max_tokens: MaxTokens = None,
    max_length: Annotated[int | None, typer.Option(help="Longest row, in tokens. Default: the context.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Log-probabilities kept per token, for the anchors.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language of the rehearsal (spaCy's codes).")] = None,
    model: Model = None,
    revision: Revision = None,
    engine: Engine = None,
    url: Url = None,
    dtype: Dtype = None,
    max_model_len: Context = None,
    trust_remote_code: Trust = None,
    template_args: TemplateArgs = None,
    thoughts: Thoughts = None,
    seed: Seed = None,
    max_drop: MaxDrop = None,
    shard_rows: ShardRows = None,
    ray: Ray = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Mix a build with rehearsal that the base model answers itself, and write training shards."""
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run", "as_json")}
    given["rehearsal"], given["suites"] = rehearsal or None, suites or None
    if sweep is not None:
        given["sweep"] = [part.strip() for part in sweep.split(",")]
    if weights is not None:
        given["weights"] = _numbers(weights, "dolly=2,alpaca=1")
    _run(lambda: _mix(given, config, dry_run, as_json))


def _mix(given: dict[str, Any], config: Path | None, dry_run: bool, as_json: bool) -> None:
    from curate.blend import BlendConfig, describe, estimate, sweep
    from curate.blend import mix as blend
    from curate.build import ModelConfig
    from curate.config import load_yaml
    from curate.progress import Progress
    from curate.shards import latest_settings

    file = _settings(config, ModelConfig)
    built = latest_settings(Path(given["work"] or file.get("work") or BlendConfig.model_fields["work"].default))
    if built and not (given["build"] or file.get("build")):
        print(f"curate: model settings from the latest build: {_short(built)}", file=sys.stderr)
    file = {**file, **built, **(load_yaml(config) if config else {})}
    settled = _settle(BlendConfig, file, _cleaning(given, file))
    with Progress() as progress:
        act = estimate if dry_run else sweep if settled.sweep else blend
        result = act(settled, progress)
    _print(result, as_json, describe)


@app.command()
def text(
    source: Annotated[str | None, typer.Option(
        help="Text file, folder of such, or records with a text column.")] = None,
    replay: Annotated[list[str] | None, typer.Option(
        help="Text of the kind that the model learned from before, PATH or NAME=PATH; held, not learned. May be "
        "repeated.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Share of new text beside replay, in tokens.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of the text in files of records. Default: text.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, where it is not UTF-8.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source; default: the file's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the training shards. Default: out.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Longest row, in tokens. Default: the context.")] = None,
    max_repeat: Annotated[int | None, typer.Option(help="How often a row may stand in the training split.")] = None,
    validation: Annotated[float | None, typer.Option(help="Share of the documents held out.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Log-probabilities kept per token of replay.")] = None,
    model: Model = None,
    revision: Revision = None,
    engine: Engine = None,
    url: Url = None,
    dtype: Dtype = None,
    max_model_len: Context = None,
    trust_remote_code: Trust = None,
    seed: Seed = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write training shards of plain text, for continued pre-training: rows without a prompt, beside replay."""
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run", "as_json")}
    given["replay"] = replay or None
    _run(lambda: _text(given, config, dry_run, as_json))


def _text(given: dict[str, Any], config: Path | None, dry_run: bool, as_json: bool) -> None:
    from curate.build import ModelConfig
    from curate.config import ConfigError
    from curate.plain import TextConfig, describe, text
    from curate.plain import dry_run as estimate
    from curate.progress import Progress

    file = _settings(config, ModelConfig)
    if not (given["source"] or file.get("source")):
        raise ConfigError("text needs --source: a text file, a folder of such, or records with a text column")
    settled = _settle(TextConfig, file, given)
    with Progress() as progress:
        result = estimate(settled) if dry_run else text(settled, progress)
    _print(result, as_json, describe)


@app.command()
def dedupe(
    source: Annotated[list[str] | None, typer.Argument(
        help="PATH or NAME=PATH, each. Rows of one named earlier win over later ones.")] = None,
    against: Annotated[list[str] | None, typer.Option(
        help="Sets whose rows win over all of them, and are not written. May be repeated.")] = None,
    suites: Annotated[list[Path] | None, typer.Option(
        help="File or folder of evaluation items; rows that hold one go. May be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the rows kept and dropped. Default: deduped.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Jaccard similarity from which rows are near. 0.8.")] = None,
    ngram: Annotated[int | None, typer.Option(help="Words or characters of an n-gram. Default: 2.")] = None,
    unit: Annotated[str | None, typer.Option(help="words or characters.")] = None,
    keep: Annotated[str | None, typer.Option(help="Which of near rows stays: longest (answer), or first.")] = None,
    facts: Annotated[bool | None, typer.Option(
        "--facts/--no-facts", help="Rows that differ in a replaced word or a number stay, however alike. On.")] = None,
    semantic: Annotated[str | None, typer.Option(
        help="Model, folder or hub id, whose embeddings say which rows mean the same: those go, too.")] = None,
    alike: Annotated[float | None, typer.Option(help="Cosine from which they mean the same. Default: 0.95.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language of the rows (spaCy's codes), with --semantic.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Share of an item's words that a row may not have.")] = None,
    run: Annotated[int | None, typer.Option(help="Words side by side that count as shared with an item.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which column is what: question=ask,answer=answer.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding of the sources, where it is not UTF-8.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write sources without rows that repeat each other, other sets, or evaluation items."""
    given = {k: v for k, v in locals().items() if k not in ("config", "as_json")}
    for name in ("source", "against", "suites"):
        given[name] = given[name] or None
    if columns is not None:
        given["columns"] = _columns(columns)
    _run(lambda: _dedupe(given, config, as_json))


def _dedupe(given: dict[str, Any], config: Path | None, as_json: bool) -> None:
    from curate.config import ConfigError, load_yaml
    from curate.dedupe_command import DedupeConfig, describe
    from curate.dedupe_command import dedupe as act
    from curate.progress import Progress

    file = load_yaml(config) if config else {}
    if not (given["source"] or file.get("source")):
        raise ConfigError("dedupe needs a source: files or folders, PATH or NAME=PATH")
    settled = _settle(DedupeConfig, file, given)
    with Progress() as progress:
        result = act(settled, progress.say)
    _print(result, as_json, describe)


@app.command()
def peek(
    folder: Annotated[Path, typer.Argument(help="An export, a built dataset, or the folder of the builds.")],
    rows: Annotated[int, typer.Option(min=0, help="Rows shown.")] = 5,
    drop: Annotated[str | None, typer.Option(help="Show rows dropped for this reason.")] = None,
    seed: Annotated[int, typer.Option(help="Which rows.")] = 0,
) -> None:
    """Show tokens coloured by weight, and dropped rows by reason."""
    from curate.peek import peek as show

    _run(lambda: show(_dataset(folder), rows=rows, drop=drop, seed=seed))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="An export, a built dataset, or the folder of the builds.")],
    as_json: Json = False,
) -> None:
    """Check checksums, row accounting and the export contract. Exit code 1 where something is wrong."""
    from curate.verify import verify as check

    def act() -> None:
        findings = [str(finding) for finding in check(_dataset(folder))]
        _print(
            {"folder": str(folder), "findings": findings}, as_json, lambda r: "\n".join(r["findings"]) or "all is well"
        )
        if findings:
            raise typer.Exit(1)

    _run(act)


@app.command()
def card(
    folder: Annotated[Path, typer.Argument(help="A training folder that `curate mix` wrote.")] = Path("out"),
    licence: Annotated[list[str] | None, typer.Option(
        help="What the licence of a source is: med=cc-by-4.0 (ids of the Hub). May be repeated.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a card that was edited.")] = False,
) -> None:  # fmt: skip
    """Write the data card anew: from the manifest, with licences that no card of a set states."""
    from curate.evaluated import write_card

    pairs = [text.partition("=") for text in licence or []]
    if wrong := [name for name, equals, value in pairs if not (name and equals and value)]:
        raise typer.BadParameter(f"{wrong[0]!r}: expected SOURCE=LICENCE, such as med=cc-by-4.0")
    _run(lambda: print(write_card(folder, {name: value for name, _, value in pairs}, force)))


@app.command()
def run(
    pipeline: Annotated[Path, typer.Argument(help="YAML with sections build, mix, sft, evaluate, report.")],
    change: Annotated[list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE, instead of the file's.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run this section alone; may be repeated.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Run a whole pipeline: each section of the file is one command, in order."""
    from curate.pipeline import run_pipeline

    _run(lambda: run_pipeline(pipeline, change or [], only or [], dry_run))


def main() -> None:
    app()


def _run(act: Callable[[], None]) -> None:
    """Exit codes: 0 done, 1 the data did not pass, 2 wrong usage or input. A known error is a sentence, not a trace."""
    from curate.errors import known, sentence

    try:
        act()
    except BrokenPipeError:
        raise  # whoever reads has enough (`| head`): typer ends quietly
    except known() as error:
        print(f"curate: {sentence(error)}", file=sys.stderr)
        raise typer.Exit(getattr(error, "exit_code", 2)) from None
    except KeyboardInterrupt:
        print("curate: interrupted; the same command continues where this one stopped", file=sys.stderr)
        raise typer.Exit(130) from None


def _settings(config: Path | None, shared: Any) -> dict[str, Any]:
    """curate.yaml, overlaid by the file that --config names."""
    from curate.config import load_yaml, settle

    workspace = load_yaml(WORKSPACE) if WORKSPACE.is_file() else {}
    if workspace:
        settle(shared, workspace, {}, str(WORKSPACE))
        print(f"curate: model settings from {WORKSPACE}: {_short(workspace)}", file=sys.stderr)
    return {**workspace, **(load_yaml(config) if config else {})}


def _settle(model: Any, file: dict[str, Any], given: dict[str, Any]) -> Any:
    """Validate, and say which values were nobody's choice."""
    from curate.config import settle_command

    settled = settle_command(model, file, given)
    chosen = {key for key, value in given.items() if value is not None} | set(file)
    taken = {key: value for key, value in settled.model_dump(mode="json").items() if key not in chosen}
    print(
        f"curate: defaults taken: {_short({k: v for k, v in taken.items() if v not in (None, {}, [])})}",
        file=sys.stderr,
    )
    return settled


def _short(values: dict[str, Any]) -> str:
    def said(value: Any) -> str:  # a group of many is not read in a line
        return "{…}" if isinstance(value, dict) and len(value) > MANY else json.dumps(value, ensure_ascii=False)

    return ", ".join(f"{key}={said(value)}" for key, value in values.items())


def _keep_workspace(settled: Any, say: Callable[[str], None]) -> None:
    """curate.yaml, by the first build that succeeds in a folder."""
    if WORKSPACE.exists() or not settled.workspace:
        return
    lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in settled.said().items())
    WORKSPACE.write_text(f"# The base model of this folder: what commands take that are not told.\n{lines}", "utf-8")
    say(f"curate: wrote {WORKSPACE} with the model, for the commands that follow")


def _cleaning(given: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """The three flags about cleaning as one setting, over what the file says of it."""
    said, languages, judge = (given.pop(name) for name in ("clean", "languages", "judge"))
    parts = [part.strip() for text in said or [] for part in text.split(",")]
    if [part.lower() for part in parts] in (["off"], ["none"]):
        return {**given, "clean": False}
    found: dict[str, str | bool] = {}
    name = ""
    for part in parts:
        before, equals, value = part.partition("=")
        if not equals and not name:
            raise typer.BadParameter(f"{part!r}: expected RULE=VALUE, such as toxic=off", param_hint="--clean")
        name = before.strip().replace("-", "_") if equals else name
        found[name] = value if equals else f"{found[name]},{part}"  # a list goes on behind its comma
    found |= {"languages": languages} if languages else {}
    found |= {"judge": judge} if judge is not None else {}
    own = file.get("clean") if isinstance(file.get("clean"), dict) else {}
    return {**given, **({"clean": {**(own or {}), **found}} if found else {})}


def _columns(text: str) -> dict[str, str]:
    from curate.ingest import SourceError, parse_columns

    try:
        return parse_columns(text)
    except SourceError as error:
        raise typer.BadParameter(str(error)) from None


def _numbers(text: str, example: str) -> dict[str, float]:
    """ "dolly=2,alpaca=1" as a mapping."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected numbers by name, such as {example}") from None


def _dataset(folder: Path) -> Path:
    """The dataset meant: the folder itself, or the latest build in it."""
    from curate.shards import LATEST, DatasetError, latest_build

    if not folder.is_dir():
        found = "a file" if folder.is_file() else "nothing of this name"
        raise DatasetError(f"{folder}: expected a folder that curate wrote (out, or builds), found {found}")
    return latest_build(folder) if (folder / LATEST).is_file() else folder


def _print(result: dict[str, Any], as_json: bool, describe: Callable[[dict[str, Any]], str]) -> None:
    print(json.dumps(result, ensure_ascii=False, indent=2, default=str) if as_json else describe(result))
