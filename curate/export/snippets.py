"""The card's section on loading a training folder: our own command, and complete settings for other trainers.

``docs/other-trainers.md`` explains each setting; ``benchmarks/other_trainers`` tries the settings on real packages.
"""

from curate.export.manifest import TrainingManifest

RATE = "1.0e-5"
"""With its point: YAML 1.1 reads 1e-5 as text."""


def loading(manifest: TrainingManifest) -> str:
    """The section "Load and train", from the manifest alone; ``out`` stands for the folder."""
    head = f"""## Load and train

`python -m train sft --data out --model {manifest.model}` uses all of it: weights, λ, anchors.
The four below use the labels alone. `out` stands for this folder.
"""
    return "\n".join([head, trl(manifest), axolotl(manifest), llama_factory(manifest), transformers(manifest)])


def trl(manifest: TrainingManifest) -> str:
    model, length = manifest.model, manifest.max_length
    return f"""TRL

```python
from datasets import load_from_disk
from trl import SFTConfig, SFTTrainer

data = load_from_disk("out")
args = SFTConfig("model", learning_rate=1e-5, max_length={length})  # its default length cuts rows silently
SFTTrainer("{model}", args, train_dataset=data["train"]{_evaluate(manifest)}).train()
```
"""


def axolotl(manifest: TrainingManifest) -> str:
    """Settings for Axolotl. Axolotl caches prepared rows by a hash of names, not of content, so every export gets a
    cache folder of its own."""
    test = "\ntest_datasets:\n  - path: out\n    split: validation\n    type:" if manifest.has_validation else ""
    return f"""Axolotl

```yaml
base_model: {manifest.model}
sequence_len: {manifest.max_length} # longer rows would be dropped; none is
datasets:
  - path: out
    split: train
    type:{test}
dataset_prepared_path: prepared/{manifest.fingerprint} # a cache: another export needs another
learning_rate: {RATE}
output_dir: model
```
"""


def llama_factory(manifest: TrainingManifest) -> str:
    """Settings for LLaMA-Factory, which requires dataset names even though it ignores them with ``tokenized_path``."""
    test = "\neval_dataset: out # likewise\neval_strategy: epoch" if manifest.has_validation else ""
    return f"""LLaMA-Factory

```yaml
model_name_or_path: {manifest.model}
stage: sft
do_train: true
finetuning_type: full # the default is LoRA
tokenized_path: out
dataset: out # any name: asked for, then ignored{test}
learning_rate: {RATE}
output_dir: model/{manifest.fingerprint} # a run into a folder that has checkpoints resumes them
```
"""


def transformers(manifest: TrainingManifest) -> str:
    model = manifest.model
    return f"""transformers

```python
from datasets import load_from_disk
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

data = load_from_disk("out")
model, tokenizer = AutoModelForCausalLM.from_pretrained("{model}"), AutoTokenizer.from_pretrained("{model}")
collate = DataCollatorForSeq2Seq(tokenizer)  # pads labels with -100
args = TrainingArguments("model", learning_rate=1e-5)
Trainer(model, args, collate, train_dataset=data["train"]{_evaluate(manifest)}).train()
```
"""


def _evaluate(manifest: TrainingManifest) -> str:
    return ', eval_dataset=data["validation"]' if manifest.has_validation else ""
