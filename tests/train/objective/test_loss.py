"""The loss as arithmetic: against numpy by hand, against torch's own KL, and where it must be zero."""

import numpy as np
import pytest
import torch

from train.objective.loss import LossGroups, divergence


def test_two_rows_by_hand() -> None:
    """Two sources, two labels with weights, one distilled token, one anchored token, in plain numpy."""
    logits = np.array([[1.0, 2.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 1.0], [2.0, 0.0, 0.0]])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    nll_a, nll_b = -np.log(p[0, 1]), -np.log(p[1, 0])
    p0 = np.array([0.6, 0.3, 0.1])
    kl_full = (p0 * np.log(p0 / p[2])).sum()
    kl_tail = 0.7 * np.log(0.7 / p[3, 1]) + 0.3 * np.log(0.3 / (1 - p[3, 1]))  # top-1 known, two tokens in the tail
    expected = 0.7 * (1.0 * nll_a + 0.5 * nll_b) / 2 + 0.3 * kl_full / 1 + 2.0 * kl_tail / 1

    loss_groups = LossGroups(("loss/med", "kl/dolly", "anchor"), (0.7, 0.3, 2.0), (0, 1, 2))
    ids = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 2], [1, 0, 0]])
    known = torch.tensor([[1, 0, 0], [1, 0, 0], [0.6, 0.3, 0.1], [0.7, 0, 0]]).log()
    terms = divergence(torch.tensor(logits, dtype=torch.float32), ids, known)
    sums = loss_groups.sums(terms, torch.tensor([1.0, 0.5, 1.0, 1.0]), torch.tensor([0, 0, 1, 2]))
    assert float(loss_groups.loss(sums, torch.tensor([2, 1, 1]))) == pytest.approx(expected, abs=1e-6)


def test_a_label_is_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 40) * 4, torch.randint(40, (50,))
    known = torch.full((50, 3), -torch.inf)
    known[:, 0] = 0.0
    ids = torch.zeros(50, 3, dtype=torch.long)
    ids[:, 0] = labels
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(divergence(logits, ids, known), expected)


@pytest.mark.parametrize("k", [7, 8])
def test_all_but_one_token_known_is_the_full_kl(k: int) -> None:
    """With V - 1 tokens known the tail is the last one, so nothing is lost; with V there is no tail."""
    torch.manual_seed(0)
    logits, base = torch.randn(20, 8) * 2, (torch.randn(20, 8) * 2).log_softmax(-1)
    top = base.topk(k)
    expected = torch.nn.functional.kl_div(logits.log_softmax(-1), base, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(divergence(logits, top.indices, top.values), expected, atol=1e-5, rtol=1e-4)


def test_fewer_known_tokens_never_exceed_the_full_kl() -> None:
    torch.manual_seed(0)
    logits, base = torch.randn(200, 30), (torch.randn(200, 30) * 3).log_softmax(-1)
    full = torch.nn.functional.kl_div(logits.log_softmax(-1), base, log_target=True, reduction="none").sum(-1)
    previous = torch.zeros(200)
    for k in (1, 5, 20, 29):
        top = base.topk(k)
        partial = divergence(logits, top.indices, top.values)
        assert (partial <= full + 1e-5).all()
        assert (partial >= previous - 1e-5).all()  # a finer partition says more
        previous = partial


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_zero_with_zero_gradient_at_the_base_model(scale: float) -> None:
    """Also where the base model is certain and the tail has no digits left (scale 30)."""
    torch.manual_seed(0)
    logits = (torch.randn(64, 100) * scale).requires_grad_()
    top = logits.detach().log_softmax(-1).topk(20)
    terms = divergence(logits, top.indices, top.values)
    terms.sum().backward()
    assert terms.abs().max() < 1e-5
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-5
    assert torch.isfinite(logits.grad).all()


def test_gradient_stays_finite_where_model_and_base_disagree_completely() -> None:
    logits = torch.zeros(2, 50)
    logits[0, 3], logits[1, 7] = 200.0, -200.0
    logits.requires_grad_()
    ids = torch.tensor([[3, 4], [7, 8]])
    terms = divergence(logits, ids, torch.tensor([[-80.0, -90.0], [0.0, -torch.inf]]))
    terms.sum().backward()
    assert torch.isfinite(terms).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 3] > 0  # what the base model never said is pushed down


def test_an_absent_loss_group_adds_nothing_and_groups_share_a_normaliser() -> None:
    sums, counts = torch.tensor([6.0, 0.0, 2.0]), torch.tensor([3, 0, 1])
    apart = LossGroups(("loss/a", "kl/b", "loss/c"), (0.5, 9.0, 1.0), (0, 1, 2))
    assert float(apart.loss(sums, counts)) == pytest.approx(0.5 * 6 / 3 + 1.0 * 2 / 1)
    together = LossGroups(("loss/a", "kl/b", "loss/c"), (1.0, 1.0, 1.0), (0, 0, 0))
    assert float(together.loss(sums, counts)) == pytest.approx((6 + 2) / 4)
