"""``python -m benchmarks.speed.mix``: rows mixed 70 : 30 and written, ours beside ``datasets``, in one run.

Two questions. *Tokenised rows*: both read rows that are tokens already and write a training folder; ours through
``curate.export.folder.export``, theirs by ``interleave_datasets(probabilities=[0.7, 0.3])`` and ``save_to_disk``.
*Text* (``--text-rows``): both begin with messages. Ours is ``curate.export.folder.mix_and_export``, which renders each
row with the template and finds the tokens that its marks cover; theirs is ``map`` with ``apply_chat_template`` before
the rest.

What each does. Ours shuffles all rows, holds the ratio, and writes what ``datasets`` writes and a second table beside
it (ids, marks, a weight per token); it copies what is fit for training to scratch files, takes a checksum of every file
and waits until the disk has it. Theirs keeps each source's order and writes ``input_ids``, ``attention_mask`` and
``labels``, without checksums or waiting; one of its contestants shuffles as well. Neither has anchors, but for rows of
ours that are measured apart. Each runs in a process of its own, one after another. Peak memory is ``VmHWM``, which
counts pages of mapped files that the system may take back; memory of the process's own (``RssAnon``) is sampled.
"""
