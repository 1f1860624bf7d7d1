"""Generators of rehearsal prompts, which need no file: names that ``curate mix --rehearsal`` knows besides data cards.

A generator makes prompts only. The base model then answers the prompts like those of any rehearsal set, and training
distils the answers, so a prompt need not make sense: it is an input on which the model must not change.

To add a generator, put a module with a class under ``@generator`` into this folder.
"""

from importlib import import_module
from pkgutil import iter_modules

from curate.rehearsal.generators.generator import GENERATORS, Candidate, Generator, GeneratorInput
from curate.rehearsal.generators.write import write
from curate.rehearsal.settings import Words

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["GENERATORS", "Candidate", "Generator", "GeneratorInput", "Words", "write"]
