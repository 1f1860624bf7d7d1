"""``python -m benchmarks.speed.dedupe quality|speed|overlap``: near duplicates among random rows of about 100 words.

``quality``: some rows are copies with 0–30 % of their words edited. The rows that ours drops are compared with the
exact Jaccard similarity of each copy and its original. ``speed``: time and peak memory of ours, of rensa alone with the
same signatures and bands, of datasketch, and of semhash with random word vectors (its own model would be a download).
The contestants read the same file one after another, each in a process of its own. ``overlap``: how many items of a
suite are found in rows that ask them, after some words of the items were edited.
"""
