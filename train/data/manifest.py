"""What training reads of a training folder's manifest.

``curate.export.manifest`` owns the file, and requires all that it writes. Training requires only the kind, so that a
folder from elsewhere trains, too; what is not stated is not checked.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from curate.store.disk import file_hash, fingerprint

MANIFEST = "manifest.json"
KIND = "training"


class TokenizerName(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    name: str | None = None
    hash: str | None = None


class ExportManifest(BaseModel):
    """The entries that training uses, each None where it is not stated."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["training"]
    fingerprint: str | None = None
    model: str | None = None
    revision: str | None = None
    tokenizer: TokenizerName | None = None
    template_hash: str | None = None
    template_args: dict[str, Any] | None = None
    end_of_turn: int | None = None
    balance: dict[str, float] | None = None  # source -> λ
    files: dict[str, str] | None = None  # path -> sha256

    def data_fingerprint(self, folder: Path) -> str:
        """The export's own fingerprint, else a hash of the shards in ``folder``."""
        if self.fingerprint:
            return self.fingerprint
        paths = sorted(folder.glob("**/*.arrow"))
        return fingerprint("files", {str(path.relative_to(folder)): file_hash(path) for path in paths})
