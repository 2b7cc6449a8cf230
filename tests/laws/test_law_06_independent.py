"""Law 6: ours equals captum, and a slow transcription, wherever there is one.

The comparisons stand beside what they compare: ``tests/attributions`` (captum's integrated gradients, RISE pixel by pixel),
``tests/targets`` (sums of cosines), ``tests/metrics`` (loops, scipy, scikit-learn). Here: everything together, through the public door.
"""

from __future__ import annotations

import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.removal import Blur
from cocoa_pl.targets import cocoa


def test_the_public_door_gives_captum_s_map_of_a_hand_written_cocoa_score() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.AdaptiveAvgPool2d(2), nn.Flatten()).eval()
        images, corpus, foil = torch.rand(2, 3, 8, 8), torch.rand(4, 3, 8, 8), torch.rand(5, 3, 8, 8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.2]).view(3, 1, 1)

    def score(pictures: Tensor) -> Tensor:
        h, c, f = (net((x - mean) / std) for x in (pictures, corpus, foil))
        to_corpus, to_foil = (nn.functional.cosine_similarity(h[:, None], refs[None], dim=2).mean(1) for refs in (c, f))
        return to_corpus - to_foil

    encoder = FrozenEncoder(net, mean=mean.flatten().tolist(), std=std.flatten().tolist())
    target = cocoa(encoder.encode(corpus), encoder.encode(foil))
    ours = Explainer(encoder, attributions={"ig": IntegratedGradients(num_steps=6)}, removal=Blur()).explain(images, target)
    theirs = CaptumIntegratedGradients(score).attribute(images, Blur()(images), n_steps=6, method="gausslegendre").sum(1)
    torch.testing.assert_close(ours.attributions["ig"][0], theirs.float(), atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(ours.scores[0], score(images).detach())
