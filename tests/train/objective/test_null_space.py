"""The null space of old text: features against their definition, filters against what they promise."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from train.objective.null_space import Features, NullSpace, features, filters, unknown_inputs

VOCAB = 40
UP, HEAD, WORDS = "model.layers.0.mlp.up_proj.weight", "lm_head.weight", "model.embed_tokens.weight"


def small(tied: bool = False) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=tied)  # fmt: skip
    return LlamaForCausalLM(config).eval()


def rows(count: int = 6, most: int = 12) -> list[Tensor]:
    """Old text from few tokens, so that it leaves directions free."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, most, (7 + i,), generator=generator) for i in range(count)]


def inputs_of(model: Any, module: nn.Module, texts: list[Tensor]) -> Tensor:
    kept: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].flatten(0, -2)))
    with torch.no_grad():
        for ids in texts:
            model(ids[None])
    hook.remove()
    return torch.cat(kept)


def test_features_are_the_mean_outer_product_of_each_layers_inputs_and_the_shares_of_tokens() -> None:
    model, texts = small(), rows()
    found = features(model, texts)
    x = inputs_of(model, model.model.layers[0].mlp.up_proj, texts)
    assert torch.allclose(found.covariances[UP], x.T @ x / len(x), atol=1e-5)
    every = torch.cat(texts)
    assert found.embeddings == WORDS
    assert torch.allclose(found.shares, torch.bincount(every, minlength=VOCAB) / len(every))
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert set(found.covariances) == linear


def test_a_filtered_update_leaves_old_answers_and_keeps_what_old_inputs_do_not_use() -> None:
    """Old inputs span 20 of 32 directions: along these nothing is left, elsewhere everything."""
    generator = torch.Generator().manual_seed(2)
    directions = torch.linalg.qr(torch.randn(32, 32, generator=generator))[0]
    x, free = torch.randn(500, 20, generator=generator) @ directions[:, :20].T, directions[:, 20:]
    update = torch.randn(48, 32, generator=generator)
    kept = filters(alone(x.T @ x / len(x)), 1e3)[UP](update)
    assert (kept @ x.T).norm() < 0.002 * (update @ x.T).norm()
    assert torch.allclose(kept @ free, update @ free, atol=0.01)


def alone(covariance: Tensor) -> Features:
    return Features({UP: covariance}, WORDS, torch.ones(VOCAB) / VOCAB)


def test_inputs_that_are_mostly_0_are_filtered_too() -> None:
    """As after a ReLU; the median of the covariance's diagonal is 0 here."""
    x = torch.zeros(4, 32)
    x[:, :3] = torch.randn(4, 3)
    kept = filters(alone(x.T @ x / len(x)), 1.0)[UP](torch.ones(48, 32))
    assert torch.isfinite(kept).all()
    assert (kept[:, :3] < 0.9).any()
    assert torch.equal(kept[:, 3:], torch.ones(48, 29))


def test_a_layer_that_no_old_token_reaches_stays_free() -> None:
    model = small()
    model.expert = nn.Linear(32, 32)
    by_name = filters(features(model, rows()), 1.0)
    NullSpace(by_name).freeze_others(model)
    assert "expert.weight" not in by_name
    assert model.expert.weight.requires_grad
    assert not model.expert.bias.requires_grad
    assert not model.model.norm.weight.requires_grad


def test_inputs_of_other_matrices_are_not_known() -> None:
    model = small()
    assert unknown_inputs(model) == []
    model.kernels = nn.Parameter(torch.zeros(2, 3, 4))
    assert unknown_inputs(model) == ["kernels"]
    with pytest.raises(ValueError, match="kernels is no linear layer"):
        NullSpace(filters(features(model, rows()), 1.0)).freeze_others(model)


def test_strength_0_filters_nothing() -> None:
    update = torch.randn(48, 32)
    assert torch.allclose(filters(features(small(), rows()), 0)[UP](update), update, atol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_a_frequent_tokens_embedding_moves_less(tied: bool) -> None:
    """A head that is tied to the embeddings is filtered as a layer, too."""
    model = small(tied)
    by_name = filters(features(model, rows(most=5)), 1.0)
    update = torch.ones(VOCAB, 32)
    seen, unseen = by_name[WORDS](update)[0], by_name[WORDS](update)[VOCAB - 1]
    assert seen.norm() < 0.3 * unseen.norm()
    assert (by_name[WORDS].inputs is not None) == tied
    assert (HEAD in by_name) != tied


def test_a_step_changes_each_weight_by_its_filtered_update() -> None:
    model = small()
    by_name = filters(features(model, rows()), 1.0)
    null_space, norm = NullSpace(dict(by_name)), model.model.norm.weight
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    update = {name: torch.randn_like(weight) for name, weight in model.named_parameters()}
    for _ in range(2):
        null_space.begin(model)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight += update[name]
        null_space.end(model)
        assert not any(kept.requires_grad for kept in null_space.before.values())
    for name, weight in model.named_parameters():
        step = by_name[name](update[name]) if name in by_name else update[name]
        assert torch.allclose(weight, before[name] + 2 * step, atol=1e-4), name
    assert torch.allclose(norm, before["model.norm.weight"] + 2 * update["model.norm.weight"])
