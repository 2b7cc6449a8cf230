"""What is explained: representations to scores. Nothing here ever sees an image."""

from cocoa_pl.targets.cosine import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free

__all__ = ["DirectionTarget", "cocoa", "contrastive_label_free", "corpus_similarity", "label_free"]
