"""Captioned scenes: what is said is there, where it is said to be, in the colour that is said."""

from __future__ import annotations

import torch

from cocoa_pl.data.captioned_scenes import COLOURS, DIGITS, PLACES, CaptionedOptions, CaptionedScenes, captioned_scenes
from cocoa_pl.data.words import UNKNOWN, WordTokenizer, split_words


def made(num: int = 60, *, split: str = "val", seed: int = 0, **look: object) -> CaptionedScenes:
    return captioned_scenes(
        num_images=num, split=split, seed=seed, options=CaptionedOptions(**{"same_colour": 0.0, "same_digit": 0.0, **look})
    )  # type: ignore[arg-type]


def test_objects_have_the_colour_and_the_place_that_their_names_say() -> None:
    source = made(num_objects=(2, 4))
    size = source.images.shape[-1]
    palette = torch.tensor(list(COLOURS.values()))
    for i, objects in enumerate(source.objects):
        for k, one in enumerate(objects):
            mask = source.object_masks[i, k]
            mean = source.images[i][:, mask].float().mean(1) / 255
            assert list(COLOURS)[int((palette - mean).norm(dim=1).argmin())] == one.colour
            rows, columns = (axis.float().mean() for axis in mask.nonzero().T)
            assert PLACES[2 * int(rows > size / 2) + int(columns > size / 2)] == one.place


def test_there_are_as_many_objects_as_asked_for_all_different_and_their_masks_are_apart() -> None:
    source = made(200, num_objects=(1, 4))
    assert {len(objects) for objects in source.objects} == {1, 2, 3, 4}
    assert all(len({one.name for one in objects}) == len(objects) for objects in source.objects)
    assert int(source.object_masks.sum(1).max()) == 1
    filled = source.object_masks.flatten(2).any(2).sum(1)
    assert filled.tolist() == [len(objects) for objects in source.objects]


def test_same_colour_and_same_digit_leave_one_thing_to_tell_objects_apart_by() -> None:
    assert all(len({one.colour for one in objects}) == 1 for objects in made(same_colour=1).objects)
    assert all(len({one.digit for one in objects}) == 1 for objects in made(same_digit=1).objects)
    mixed = [len({one.colour for one in objects}) == 1 for objects in made(400, num_objects=(3, 3), same_colour=0.3).objects]
    assert 0.2 < sum(mixed) / len(mixed) < 0.4


def test_pairs_of_digits_and_colours_are_drawn_evenly() -> None:
    objects = made(3000, num_objects=(2, 2)).objects
    steps = torch.zeros(10)
    for first, second in objects:
        steps[(DIGITS.index(second.digit) - DIGITS.index(first.digit)) % 10] += 1
    assert steps[0] == 0
    assert steps[1:].min() > 0.75 * 3000 / 9


def test_a_scene_is_a_function_of_seed_split_and_index() -> None:
    few, many = made(5), made(9)
    assert torch.equal(few.images, many.images[:5])
    assert few.objects == many.objects[:5]
    assert not torch.equal(few.images, made(5, seed=1).images)
    assert not torch.equal(few.images, made(5, split="train").images)


def test_captions_say_nothing_but_the_truth_and_change_with_the_epoch() -> None:
    source = made(300, num_objects=(2, 3))
    ids = list(range(300))
    captions = source.captions(ids, epoch=0)
    assert captions == source.captions(ids, epoch=0)
    assert captions[7:9] == source.captions([7, 8], epoch=0)
    assert sum(a != b for a, b in zip(captions, source.captions(ids, epoch=1), strict=True)) > 200
    for caption, objects in zip(captions, source.objects, strict=True):
        words = set(split_words(caption))
        assert words & set(DIGITS) <= {one.digit for one in objects}
        assert words & set(COLOURS) <= {one.colour for one in objects}
    joined = " ".join(captions)
    assert 0.003 < joined.count(UNKNOWN) / len(joined.split()) < 0.02
    assert any(place in joined for place in PLACES)
    full = source.captions([0], epoch=None)[0]
    assert all(one.name in full for one in source.objects[0])


def test_every_word_is_known_and_every_phrase_is_of_the_vocabulary() -> None:
    source = made(100)
    tokenizer = WordTokenizer(source.words, context_length=48)
    captions = [caption for epoch in range(5) for caption in source.captions(range(100), epoch=epoch)]
    unknown = {word for caption in captions for word in tokenizer.unknown(caption)}
    assert unknown <= {UNKNOWN}
    assert max(map(tokenizer.num_tokens, captions)) <= 48
    assert set(source.phrases(range(100))) <= set(source.vocabulary)
    assert len(set(source.vocabulary)) == 60
    assert torch.equal(source.masks([3, 4]), source.object_masks[[3, 4], 0])
