"""How good the representation is: kNN and linear probe. How healthy it is: :mod:`cocoa_pl.metrics.health`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lightly.utils.benchmarking import knn_predict
from torch import Tensor


def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, reps: Tensor, labels: Tensor, *, num_neighbours: int = 20, temperature: float = 0.1
) -> float:
    """Share of reps (N, D) whose weighted vote of nearest neighbours in the bank (M, D) names their label (Wu et al., CVPR 2018)."""
    num_classes = int(max(bank_labels.max(), labels.max())) + 1
    features = F.normalize(bank.float(), dim=1).T.contiguous()
    options = {"knn_k": min(num_neighbours, len(bank)), "knn_t": temperature}
    parts = torch.split(F.normalize(reps.float(), dim=1), 1000)  # the vote is a table of neighbours x classes for every image
    predicted = torch.cat([knn_predict(part, features, bank_labels, num_classes, **options) for part in parts])
    return float((predicted[:, 0] == labels).float().mean())


def linear_probe_accuracy(bank: Tensor, bank_labels: Tensor, reps: Tensor, labels: Tensor) -> float:
    """Accuracy of a multinomial logistic regression trained on the bank (M, D), on reps (N, D)."""
    weight, bias = fit_linear_head(bank, bank_labels)
    return float(((reps.float() @ weight.T + bias).argmax(1) == labels).float().mean())


def fit_linear_head(bank: Tensor, labels: Tensor, *, weight_decay: float = 1e-3, max_iterations: int = 60) -> tuple[Tensor, Tensor]:
    """L2-regularised multinomial logistic regression by L-BFGS on standardised reps (M, D); weight (classes, D) and bias (classes,)."""
    num_classes = int(labels.max()) + 1
    mean, scale = bank.float().mean(0), bank.float().std(0, correction=0).clamp_min(1e-6)
    inputs = (bank.float() - mean) / scale
    with torch.inference_mode(False), torch.enable_grad():
        inputs, labels = inputs.detach().clone(), labels.clone()
        weight = torch.zeros(num_classes, bank.shape[1], device=bank.device, requires_grad=True)
        bias = torch.zeros(num_classes, device=bank.device, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=max_iterations, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(inputs @ weight.T + bias, labels) + weight_decay * weight.square().sum() / 2
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
    weight = weight.detach() / scale
    return weight, bias.detach() - weight @ mean
