"""What the demo asks which model; the demo itself is run by hand."""

import json
from pathlib import Path

import pytest

from benchmarks.forgetting import demo, demo_setup
from tests.paths import ROOT


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_tiny_base_is_asked_its_own_suites():
    assert demo_setup.tiny().suites() == ["--suite", "demo/world/suites"]


def test_the_real_model_is_asked_public_suites_where_their_files_lie(tmp_path):
    files = ("arc_easy.jsonl", "hellaswag_val.jsonl", "piqa.jsonl", "advbench.csv", "xstest_prompts.csv")
    for name in files[:-1]:
        (tmp_path / name).touch()
    assert demo_setup.real(tmp_path).passed_only  # one file is missing
    (tmp_path / files[-1]).touch()
    setup = demo_setup.real(tmp_path)
    assert not setup.passed_only
    words = demo.evaluate(setup, "before", "after")
    assert {"arc_easy", "hellaswag", "piqa", "advbench", "xstest_safe", str(tmp_path)} < set(words)
    assert "demo/smollm2/world/suites/new_unseen.jsonl" in words


def test_of_its_own_suites_the_real_model_is_asked_what_the_base_passes(tmp_path):
    suites, answers, out = tmp_path / "suites", tmp_path / "before", tmp_path / "passed"
    for name in ("lists", "memory", "new_unseen"):
        write(suites / f"{name}.jsonl", [{"id": f"{name}-{n}", "prompt": "Count."} for n in range(4)])
        right = (1, 2, 3) if name == "lists" else () if name == "memory" else (0, 1)
        write(answers / f"{name}.jsonl", [{"id": f"{name}-{n}", "correct": n in right} for n in range(4)])
    assert demo_setup.keep_passed(suites, answers, out, limit=2) == {"lists": 2}
    assert [path.name for path in out.iterdir()] == ["lists.jsonl"]
    assert [json.loads(line)["id"] for line in (out / "lists.jsonl").open()] == ["lists-1", "lists-2"]


@pytest.mark.parametrize("setup", [demo_setup.tiny(), demo_setup.real(Path("nowhere"))], ids=["tiny", "smollm2"])
def test_both_jobs_of_a_demo_read_and_write_in_its_folder(setup):
    for pipeline in (setup.ours, setup.plain):
        text = (ROOT / pipeline).read_text()
        assert f"model: {setup.base}\n" in text
        assert f"source: {setup.out}/world/med.jsonl\n" in text


def test_a_model_without_a_demo_is_refused():
    with pytest.raises(ValueError, match="tiny or smollm2"):
        demo_setup.of("llama", Path("eval"), "vllm")
