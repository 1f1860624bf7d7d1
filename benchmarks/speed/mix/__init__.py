"""``python -m benchmarks.speed.mix``: mix rows 70 : 30 and write them, ours and ``datasets``, in one run.

There are two kinds of input. *Tokenised rows*: both read tokens and write a training folder; ours by
``curate.export.folder.export``, ``datasets`` by ``interleave_datasets(probabilities=[0.7, 0.3])`` and ``save_to_disk``.
*Text* (``--text-rows``): both read messages. Ours is ``curate.export.folder.mix_and_export``, which renders each row
with the template and finds the tokens that the row's marks cover; ``datasets`` adds a ``map`` with
``apply_chat_template``.

The two do not do the same work. Ours shuffles all rows and keeps the ratio exactly. Ours writes what ``datasets``
writes and a second table (ids, marks, a weight per token), copies rows that can be trained to scratch files, computes a
checksum of every file, and syncs each file to the disk. ``datasets`` keeps each source's order (one of its variants
shuffles) and writes ``input_ids``, ``attention_mask`` and ``labels``, without checksums or syncs. Rows have no anchors,
except in one variant of ours that is measured separately.

The contestants run one after another, each in a process of its own. Peak memory is ``VmHWM``, which includes pages of
mapped files that the system can take back; the process's own memory (``RssAnon``) is sampled.
"""
