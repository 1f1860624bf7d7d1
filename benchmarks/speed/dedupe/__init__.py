"""``python -m benchmarks.speed.dedupe quality|speed|overlap``: near duplicates among made-up rows of about 100 words.

``quality``: copies are planted with 0–30 % of their words edited; what is found is held against the exact Jaccard
similarity of each copy and its original. ``speed``: time and peak memory, ours beside rensa alone with the same
signatures and bands, datasketch, and semhash over a small static embedding of random vectors (its own model is
downloaded); each contestant reads the same file in a process of its own, one after another. ``overlap``: how many of a
suite's items are found in rows that ask them, with some of their words edited.
"""
