"""Find exact and near duplicates (by exact Jaccard similarity) in any texts, and rows that hold evaluation items.

``shingles`` turns texts into hashes, ``collect`` stores them, ``lsh`` finds candidates (rensa), ``jaccard`` computes
exact similarities, ``clusters`` decides which text stays, by the rank of ``keep``; ``find`` runs them all. ``overlap``
searches for evaluation items, ``curate.dedup.semantic`` compares embeddings. ``Near(facts=True)`` keeps rows apart that
differ in a word or a number, by words alone; ``curate.dedup.rows`` compares questions and answers.
"""
