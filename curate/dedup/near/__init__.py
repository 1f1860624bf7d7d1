"""Rows that repeat other rows, whatever they are about: exact, or near by exact Jaccard; and rows that hold test items.

``shingles`` turns texts into hashes, ``collect`` holds them, ``lsh`` finds who may be alike (rensa), ``jaccard`` looks
exactly, ``clusters`` settles who stays, by the rule of ``keep``; ``find`` puts them together. ``overlap`` is the look
for evaluation items, ``meaning`` compares embeddings. ``Near(facts=True)`` keeps rows apart that differ in a word or a
number, by words alone; what a row of a source says is the matter of ``curate.dedup.rows``.
"""
