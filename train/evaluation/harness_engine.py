"""Our engines as a model of lm-evaluation-harness: requests are texts, engines work on tokens.

Tokens, windows and stop sequences are those of the harness's own transformers model, so that a task's result does not
depend on which of the two ran. The harness's own vLLM model does not run on vLLM's CPU build, so it is not used.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from curate.model.engine import Completion, Engine, Sampling

if TYPE_CHECKING:
    from curate.model.template import Template

CHUNK = 1024
"""Requests per engine call, and the most requests that a killed run loses."""

FIRST_STEP = 32
"""Tokens after which answers are first searched for stop sequences; each further step is twice as long."""

T = TypeVar("T")

Pair = tuple[Any, list[int], list[int]]
"""A request's cache key, the tokens of its context, and the tokens of its continuation."""


class EngineLM(TemplateLM):  # type: ignore[misc]  # the harness states no types
    """An engine and its tokenizer, in the interface of the harness's models.

    ``max_length``: longest sequence in tokens; longer contexts lose their beginning, as in the harness's own models.
    ``ends``: tokens that end an answer. ``say``: called with the progress after each chunk. ``template``: of prompts in
    a chat template; then thoughts are left out of answers, and stop sequences are searched in the answer alone.
    """

    def __init__(
        self, engine: Engine, tokenizer: Any, max_length: int, ends: Sequence[int] = (),
        say: Callable[[str], None] = lambda line: None, template: "Template | None" = None,
    ):  # fmt: skip
        super().__init__()
        self.engine, self.tokenizer, self.max_length, self.say = engine, tokenizer, max_length, say
        self.template = template
        self.ends = tuple(dict.fromkeys([*ends, self.eot_token_id]))

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return str(self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt, **(self.template.arguments if self.template else {}),
        ))  # fmt: skip

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Encode like the tokenizer, but without a second BOS if a chat template already wrote one."""
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            add_special_tokens = False
        special = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self.tokenizer.encode(string, **special))

    # --- likelihoods -------------------------------------------------------------------------------------------------

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """The harness's own method without its progress bar; ``say`` reports progress."""
        return list(super().loglikelihood(requests, disable_tqdm=disable_tqdm))

    def _loglikelihood_tokens(self, requests: Sequence[Pair], **kwargs: Any) -> list[tuple[float, bool]]:
        """Sum of the continuation's log-probabilities in nats, and whether each of its tokens is the most likely."""
        results = []
        for done, chunk in self._chunks(requests):
            sequences = [[*context, *continuation][-self.max_length :] for _, context, continuation in chunk]
            # If a continuation merges into the context's last token, that token is scored. The first token of a
            # sequence is never scored, since it has no context.
            lengths = [max(1, len(continuation)) for _, _, continuation in chunk]
            starts = [max(1, len(ids) - n) for ids, n in zip(sequences, lengths, strict=True)]
            scores = self.engine.score(sequences, starts, 1)
            for (key, _, _), ids, start, score in zip(chunk, sequences, starts, scores, strict=True):
                greedy = bool((score.top_ids[:, 0] == ids[start:]).all())
                results.append((float(score.logprobs.sum(dtype=float)), greedy))
                if key is not None:
                    self.cache_hook.add_partial("loglikelihood", key, results[-1])
            self._report_progress(done, len(requests))
        return results

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-probabilities of whole texts, in nats; long texts in windows, each token once."""
        texts = [self._windows(request.args[0]) for request in requests]
        every = [(None, context, continuation) for windows in texts for context, continuation in windows]
        scores = iter(self._loglikelihood_tokens(every))
        return [sum(next(scores)[0] for _ in windows) for windows in texts]

    def _windows(self, text: str) -> list[tuple[list[int], list[int]]]:
        windows = get_rolling_token_windows(
            token_list=self.tok_encode(text), prefix_token=self.prefix_token_id, max_seq_len=self.max_length - 1,
            context_len=1,
        )  # fmt: skip
        return [make_disjoint_window(window) for window in windows]

    # --- answers -----------------------------------------------------------------------------------------------------

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Generated texts up to the first stop sequence, which is left out."""
        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(index)
        answers: dict[int, str] = {}
        for indices in groups.values():
            for done, chunk in self._chunks(indices):
                texts = self._generate([requests[index].args[0] for index in chunk], requests[chunk[0]].args[1])
                for index, text in zip(chunk, texts, strict=True):
                    answers[index] = text
                    self.cache_hook.add_partial("generate_until", requests[index].args, text)
                self._report_progress(done, len(indices))
        return [answers[index] for index in range(len(requests))]

    def _generate(self, contexts: Sequence[str], arguments: dict[str, Any]) -> list[str]:
        settings: dict[str, Any] = dict(normalize_gen_kwargs(arguments, 256))
        stops = handle_stop_sequences(settings["until"], eos=self.tokenizer.decode(self.eot_token_id))
        longest = min(settings["max_gen_toks"], self.max_length - 1)
        prompts = [self.tok_encode(context)[-(self.max_length - longest) :] for context in contexts]
        temperature = float(settings.get("temperature") or 0.0) if settings["do_sample"] else 0.0
        sampling = {"temperature": temperature, "top_p": float(settings.get("top_p") or 1.0), "stop_ids": self.ends}
        # Sampled answers are generated in one step: several steps would each begin with the same seed.
        return self._in_steps(prompts, longest, stops, longest if temperature else FIRST_STEP, sampling)

    def _in_steps(
        self, prompts: Sequence[list[int]], longest: int, stops: list[str], step: int, sampling: dict[str, Any]
    ) -> list[str]:
        """Generate in steps and search the texts for stop sequences after each, since engines stop at tokens only."""
        ids: list[tuple[int, ...]] = [()] * len(prompts)
        texts = [""] * len(prompts)
        going, spent = list(range(len(prompts))), 0
        while going and spent < longest:
            step = min(step, longest - spent)
            sequences = [[*prompts[index], *ids[index]] for index in going]
            completions = self.engine.generate(sequences, Sampling(max_tokens=step, **sampling))
            ended = set()
            for index, completion in zip(going, completions, strict=True):
                ids[index] += completion.ids
                whole = self._answer(ids[index])
                texts[index] = postprocess_generated_text(whole, stops, None)
                if completion.finished or texts[index] != whole:
                    ended.add(index)
            going = [index for index in going if index not in ended]
            spent, step = spent + step, 2 * step
        return texts

    def _answer(self, ids: tuple[int, ...]) -> str:
        """The answer in these tokens; empty while a thought is unfinished."""
        if self.template:
            return self.template.read(Completion(ids, True)).text
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    # --- both --------------------------------------------------------------------------------------------------------

    def _chunks(self, items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
        """The number of items done after each chunk, and the chunk."""
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            yield start + len(chunk), chunk

    def _report_progress(self, done: int, every: int) -> None:
        if every > CHUNK:
            self.say(f"{done:,} of {every:,} requests")
