"""Settings that commands share: the model, and what cleaning does. Each field is a flag and a key of a YAML file."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from curate.clean.rules import CleanRules
from curate.config.settings import Strict
from curate.config.values import TemplateArgs
from curate.model.engine import EngineConfig, WeightsDtype
from curate.model.open import ENGINE_HELP, EngineName
from curate.model.thought import Thoughts

if TYPE_CHECKING:  # a command's help needs no model
    from curate.model.base import Base


def spacy_code(lang: str) -> str:
    from curate.text.words import language

    return language(lang)


Language = Annotated[str, AfterValidator(spacy_code)]
"""A code that spaCy has rules for."""


def columns_by_name(value: Any) -> Any:
    """``question=ask,answer=reply`` as a mapping; a mapping stays one."""
    from curate.ingest import parse_columns

    words = [value] if isinstance(value, str) else value
    return parse_columns(",".join(words)) if isinstance(words, list | tuple) else words


Columns = Annotated[dict[str, str], BeforeValidator(columns_by_name)]
"""Which column of a file is what."""


class ModelConfig(Strict):
    """Base model: its name, and the engine that runs the model."""

    model: str = Field("Qwen/Qwen2.5-0.5B-Instruct", description="Base model: a folder or a hub id. Default: the model "
                       "of curate.yaml, else Qwen/Qwen2.5-0.5B-Instruct.")  # fmt: skip
    revision: str | None = Field(None, description="Revision of a hub model.")
    engine: EngineName = Field("auto", description=ENGINE_HELP)
    url: str | None = Field(None, description="Address of an OpenAI-compatible server, for --engine server.")
    dtype: WeightsDtype = Field("auto", description="Precision: auto, float32, bfloat16 or float16.")
    max_model_len: int = Field(0, ge=0, description="Context in tokens. Default: what the model allows, at most 4096.")
    trust_remote_code: bool = Field(False, description="Run Python code from the model's folder or hub page.")
    template_args: TemplateArgs = Field({}, description="Variables of the model's chat template, such as "
                                        "enable_thinking=false,reasoning_effort=low.")  # fmt: skip
    thoughts: Thoughts = Field("drop", description="Thoughts of a model that thinks before it answers. drop: rows have "
        "an empty thought. anchor: rows have the model's own thought, anchored and never labelled.")  # fmt: skip

    def given_settings(self) -> dict[str, Any]:
        """The model and its other settings that were given."""
        names = [name for name in ModelConfig.model_fields if name in self.model_fields_set or name == "model"]
        return self.model_dump(mode="json", include=set(names))

    def base(self) -> "Base":
        from curate.model.base import find_base

        fields = ("model", "engine", "revision", "dtype", "max_model_len", "trust_remote_code", "url")
        engine = {name: getattr(self, name) for name in fields}
        return find_base(EngineConfig(**engine, template_args=tuple(sorted(self.template_args.items()))))

    def chat_base(self) -> "Base":
        """``base``, for a chat model. Raises ``TemplateError`` where its chat template cannot be used."""
        base = self.base()
        base.template.check()
        return base


class Cleaning(Strict):
    """Cleaning: which rows are repaired or marked."""

    clean: CleanRules | None = Field(CleanRules(), description="Cleaning rules to change, as RULE=VALUE: "
        "toxic=off,top_2gram=0.3. off alone: no cleaning. May be repeated. Default: the values in "
        "docs/cleaning.md.")  # fmt: skip

    @field_validator("clean", mode="before", json_schema_input_type=CleanRules | Literal[False, "off"] | None)
    @classmethod
    def _off(cls, value: Any) -> Any:
        """``clean: off`` in a file."""
        return None if value is False else value


class Running(Strict):
    """Running: shards, limits, and the machines that work."""

    seed: int = Field(0, description="Seed of everything random.")
    max_drop: float = Field(0.5, ge=0, le=1, description="Stop when a stage drops more than this share of its rows.")
    shard_rows: int = Field(1024, ge=1, description="Rows of a shard. Work is saved and resumed shard by shard.")
    ray: str | None = Field(None, description="Address of a Ray cluster; 'local' starts one on this machine.")
