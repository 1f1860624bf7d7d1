"""The loss, one formula for every token: a divergence from a target distribution, averaged per loss group.

    L = sum over loss groups of  lambda_group / n_group * sum over the group's tokens of  w_t * KL(target_t || p_theta)

The target of a labelled token is its label with probability 1, so the KL is the negative log-likelihood. The target of
a distilled or anchored token is the base model's distribution p0, known as its top-k log-probabilities and one bucket
for the tail (KL to the base model on the new task's prompts predicts forgetting: arXiv 2509.04259). A *loss group* is a
set of tokens averaged together: the labelled tokens of one source, the distilled tokens of one source, or all anchored
tokens. n_group counts tokens over the whole optimiser step, all devices and accumulated batches together, so the loss
does not depend on how a step is cut into batches.
"""

import math
from dataclasses import dataclass

import torch


def divergence(logits: torch.Tensor, ids: torch.Tensor, logprobs: torch.Tensor) -> torch.Tensor:
    """KL(target || softmax(logits)) per token, in nats: float32 [n].

    logits [n, vocab]; ids int64 [n, k] and logprobs float32 [n, k]: the target's known entries, padded with -inf.
    The rest of the target's probability is one bucket, compared with the model's probability of all other tokens:

        sum_k p0_k (log p0_k - log p_k)  +  p0_tail (log p0_tail - log p_tail),   p_tail = 1 - sum_k p_k

    This is at most the full KL (the log-sum inequality), equal to it where the tail is one token or p0 and p
    have it in proportion, and zero, with zero gradient, at p = p0.

    >>> float(divergence(torch.zeros(1, 4), torch.tensor([[2]]), torch.tensor([[0.0]])))  # a label: log 4
    1.3862943649291992
    """
    logits = logits.float()
    known = logprobs > -torch.inf
    logp = logits.gather(-1, ids) - logits.logsumexp(-1, keepdim=True)
    target = logprobs.exp()
    head = (target * (logprobs.where(known, 0.0) - logp)).sum(-1)
    tail = (1.0 - target.sum(-1)).clamp(min=0.0)
    return head + torch.xlogy(tail, tail) - tail * _log_rest(logp.where(known, -torch.inf))


def _log_rest(logp: torch.Tensor) -> torch.Tensor:
    """log(1 - sum_k exp(logp_k)), kept above -inf: in float32 a sum close to 1 leaves no digits after subtraction."""
    total = logp.logsumexp(-1).clamp(max=-torch.finfo(torch.float32).eps)
    return torch.log(-torch.expm1(total))


def full_divergence(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """KL(softmax(old) || softmax(new)) per token over the whole vocabulary, in nats: float32 [n]; both [n, vocab]."""
    log_old, log_new = (torch.log_softmax(logits.float(), -1) for logits in (old, new))
    return (log_old.exp() * (log_old - log_new)).sum(-1)


def likelihood(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """p(y_t), the weight of a label's NLL in dynamic fine-tuning (arXiv 2508.05629, eq. 9): float32 [n]; logits
    [n, vocab], labels int64 [n]. No gradient may pass through the weight.

    >>> float(likelihood(torch.zeros(1, 4), torch.tensor([2])))
    0.25
    """
    return torch.softmax(logits.float(), -1).gather(-1, labels[:, None])[:, 0]


def normalised_entropy(logits: torch.Tensor, top: int = 20) -> torch.Tensor:
    """Entropy of the ``top`` likeliest tokens, taken as a distribution, over ln ``top``: the weight of a label's
    NLL in entropy-adaptive fine-tuning (arXiv 2601.02151): float32 [n] in [0, 1]; logits [n, vocab].

    >>> round(float(normalised_entropy(torch.zeros(1, 50))), 5)
    1.0
    """
    logp = torch.log_softmax(logits.float().topk(top, -1).values, -1)
    return -(logp.exp() * logp).sum(-1) / math.log(top)


@dataclass(frozen=True)
class LossGroups:
    """The loss groups: sets of tokens averaged together, and the weight of each average.

    names: for logs, "loss/<source>", "kl/<source>", "anchor". lambdas: one per loss group. normalisers: the number of
    each loss group's normaliser; loss groups of one number are averaged over all their tokens together (without balance
    all trained tokens are).
    """

    names: tuple[str, ...]
    lambdas: tuple[float, ...]
    normalisers: tuple[int, ...]

    def sums(self, terms: torch.Tensor, weights: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Weighted terms summed by loss group: float32 [groups]; ``groups``: each term's loss group, int64 [n]."""
        return terms.new_zeros(len(self.names)).index_add(0, groups, weights * terms)

    def loss(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """The loss from the groups' sums and the token counts of the whole step; an absent loss group adds nothing."""
        return self.parts(sums, counts).sum()

    def parts(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Each loss group's share of the loss: float32 [groups]."""
        normalisers = torch.tensor(self.normalisers, device=sums.device)
        lambdas = torch.tensor(self.lambdas, device=sums.device)
        totals = sums.new_zeros(len(self.names)).index_add(0, normalisers, counts.to(sums))[normalisers]
        return lambdas * sums / totals.clamp(min=1)
