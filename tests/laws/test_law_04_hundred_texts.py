"""Law 4 for texts: the maps of a hundred texts in one pass equal those of a hundred passes, and cost the encoder what one costs."""

from __future__ import annotations

import torch
from open_clip import SimpleTokenizer
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.targets import cocoa, stack
from cocoa_pl.texts.lists import concept_list

NUM_MASKS, NUM_STEPS = 24, 3


def test_a_hundred_texts_together_equal_a_hundred_apart_at_the_cost_of_one() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vision = CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=8, image_size=16)
        model = CLIP(16, vision, CLIPTextCfg(context_length=16, vocab_size=49408, width=16, heads=2, layers=1)).eval()
        images = torch.rand(2, 3, 16, 16)
    encoder, names = FrozenEncoder(model.visual), concept_list("cifar100")
    with torch.no_grad():
        reps = model.encode_text(SimpleTokenizer(context_length=16)([f"a photo of a {name}" for name in [*names, "thing", "place"]]))
    targets = [cocoa(reps[k : k + 1], reps[len(names) :], name=name) for k, name in enumerate(names)]
    assert len(targets) == 100
    methods = {"rise": Rise(num_masks=NUM_MASKS, grid_size=3), "integrated_gradients": IntegratedGradients(num_steps=NUM_STEPS)}
    explainer = Explainer(encoder, attributions=methods, removal="black", chunk_size=64)
    encoder.num_forwards = 0
    together = explainer.explain(images, stack(targets), seed=5)
    cost, encoder.num_forwards = encoder.num_forwards, 0
    apart = [explainer.explain(images, target, seed=5) for target in targets]
    assert encoder.num_forwards == 100 * cost == 100 * explainer.num_forwards(2, 16, 16)
    assert together.targets == tuple(names)
    torch.testing.assert_close(together.scores, torch.cat([one.scores for one in apart]), atol=1e-6, rtol=0)
    for method in methods:
        expected = torch.cat([one.attributions[method] for one in apart])
        torch.testing.assert_close(together.attributions[method], expected, atol=1e-6, rtol=0)
        assert expected.abs().amax(dim=(1, 2, 3)).min() > 2e-5, method  # well above the tolerance
        assert torch.pdist(expected.flatten(1)).min() > 2e-5, method  # no two texts have the same maps
