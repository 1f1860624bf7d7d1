"""Rows that repeat other rows, whatever they are about: exact, or near by exact Jaccard; and rows that hold test items.

``shingles`` turns texts into hashes, ``collect`` holds them, ``lsh`` finds who may be alike (rensa), ``jaccard`` looks
exactly, ``clusters`` settles who stays, by the rule of ``keep``; ``find`` puts them together. ``overlap`` is the look
for evaluation items. None of it knows facts: two rows that differ in one dose are near duplicates here, and
``curate.dedupe`` is the rule that tells them apart.
"""
