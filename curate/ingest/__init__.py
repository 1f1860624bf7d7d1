"""From files, folders and hub datasets to example rows: every record becomes a row or a counted rejection."""

from curate.ingest.documents import Document, read_documents
from curate.ingest.source import (
    REASONS,
    Accepted,
    Rejected,
    Source,
    SourceError,
    UnknownColumns,
    content_hash,
    is_hub_id,
    parse_columns,
    read_source,
    row_id,
)

__all__ = [
    "REASONS",
    "Accepted",
    "Document",
    "Rejected",
    "Source",
    "SourceError",
    "UnknownColumns",
    "content_hash",
    "is_hub_id",
    "parse_columns",
    "read_documents",
    "read_source",
    "row_id",
]
