"""The flags of ``explain.py``, and what the words after them are before anybody asks what they mean."""

from __future__ import annotations

import difflib
import glob
import os
from argparse import Namespace

from cocoa_pl.config import option_names
from cocoa_pl.errors import ConfigError

SEVERAL = (
    ("ckpt", "PATH", "checkpoints of train.py or of any other origin; several, a quoted glob or, alone, the folder of a run are read as "
     "one run over time"),
    ("input", "PICTURES", "files, folders, globs, train:0-9 or val:all of the data set, or - for a list on standard input; default: the "
     "run's explain set"),
    ("corpus", "[NAME=]WHAT", "what pictures may be like: folders, files, class:NAME, self, neighbours:K, clusters:K, representations in "
     ".npy or .npz; several give several targets; default: self"),
    ("foil", "WHAT", "what they are contrasted with: folders, files, class:NAME, representations, none; default: training images of the "
     "run, else the other corpora, else the pictures to explain"),
    ("corpus-text", "[NAME=]TEXT", "what pictures may be like, in words, a target each: a sentence with the concept in braces, 'a photo of "
     "a {cat}', a concept, a whole sentence, or @FILE with one a line"),
    ("foil-text", "TEXT", "what they are contrasted with, in words: cifar100, imagenet, @FILE, concepts, sentences, neutral; default: the "
     "other texts"),
    ("template", "SENTENCE", "sentences that concepts are put in, averaged, as in 'a photo of a {}', or photos for a set of them (default: "
     "'a photo of a {}')"),
    ("concepts", "NAMES", "a bank of concepts, of which those that each picture is most like are targets: cifar100, imagenet, @FILE or "
     "names"),
)  # fmt: skip
ONE = (
    ("encoder", "KIND", "what the checkpoint holds, where that is not found out: torchvision:NAME, timm:NAME, open_clip:NAME[/TAG], "
     "transformers:ID, torchscript, export, or package.module:function"),
    ("against", "PATH", "another checkpoint: the same pictures under both encoders, side by side"),
    ("against-encoder", "KIND", "what that checkpoint holds; default: as --encoder"),
    ("out", "DIR", "folder for the report (default: explained/<checkpoint> beside the checkpoint)"),
    ("top", "K", "concepts of each picture that get maps (default: 5)"),
    ("budget", "TIME", "stop explaining after so long, such as 90s, 10m or 2h; the same command goes on from there"),
    ("box", "HOW", "where masks and boxes cut a map: otsu, or a quantile such as 0.9 (default: otsu)"),
    ("image-size", "N", "side in pixels of the squares that an encoder of another origin sees"),
    ("mean", "R,G,B", "its channel means in [0, 1]"),
    ("std", "R,G,B", "its channel standard deviations"),
    ("cache", "DIR", "folder of representations kept for the next question, or none (default: the user's cache folder)"),
)  # fmt: skip
FLAGS = (
    ("untrained", "explain the encoder as it was before training: the control"),
    ("words", "share out the likeness to the texts over their words as well"),
    ("trust-pickle", "load a file even if that executes code in it: only files from people you trust"),
)
_FREE = ("corpus", "corpus-text", "foil-text", "template", "concepts")  # whose words may hold an equals sign of their own


def check_words(args: Namespace) -> None:
    """See that no word is empty, as an unset variable of a shell makes it.

    Raises:
        ConfigError: one is.
    """
    for name, *_ in (*SEVERAL, *ONE):
        given = getattr(args, name.replace("-", "_"))
        if given == "" or (isinstance(given, list) and "" in given):
            raise ConfigError(f"--{name} '': is empty")


def take_overrides(name: str, words: list[str]) -> list[str]:
    """Move ``section.key=value`` out of the words of an option that takes several: whoever writes it there means the option.

    What exists under such a name stays, and so does what only resembles a section where it may be the ``NAME=`` of a corpus or part of a
    text.

    Raises:
        ConfigError: nothing else is there.
    """
    options = [word for word in words if "." in word.partition("=")[0] and "=" in word and not _exists(word)]
    sections = {name.partition(".")[0] for name in option_names()} if options else set()
    nearness = 1 if name in _FREE else 0.7  # 1: the very same
    taken = [word for word in options if difflib.get_close_matches(word.partition(".")[0], sections, n=1, cutoff=nearness)]
    words[:] = [word for word in words if word not in taken]
    if taken and not words:
        raise ConfigError(f"--{name}: names nothing; {taken[0]} after it is an option of its own")
    return taken


def _exists(word: str) -> bool:
    return os.path.exists(word) or next(glob.iglob(word, recursive=True), None) is not None
