"""Options that make a run of another kind of ``configs/smoke.yaml``."""

TEXTS = (
    "data.name=captioned_scenes", "model.method=image_text", "model.text_width=16", "explain.space=projections", "augment.jitter=0",
    "augment.grayscale=0",
)  # fmt: skip
"""Images and captions, explained towards texts too."""
