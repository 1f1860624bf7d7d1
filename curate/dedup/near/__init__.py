"""Find exact and near duplicates (by exact Jaccard similarity) in any texts, and rows that hold evaluation items.

``shingles`` turns texts into hashes, ``collect`` stores them, ``lsh`` finds candidates (rensa), ``jaccard`` computes
exact similarities, ``facts`` keeps texts apart in which a word or a number is replaced, ``clusters`` decides which text
stays, by the rank of ``keep``; ``find`` runs them all, for ``curate dedupe`` and for ``curate.dedup.rows``. ``overlap``
searches for evaluation items, ``curate.dedup.semantic`` compares embeddings.
"""
