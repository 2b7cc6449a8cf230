"""What a foil leaves out."""

from __future__ import annotations

import pytest

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.texts.asked import TextCorpus, TextFoil
from cocoa_pl.texts.hygiene import foil_of, notice
from cocoa_pl.texts.lists import concept_list
from cocoa_pl.texts.meanings import meaning
from cocoa_pl.texts.templates import DEFAULT, fill

COCO = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, parking meter,
    bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee,
    skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass,
    cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch,
    potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink,
    refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
"""
MOST_LEFT_OUT = 6


def corpus(concept: str, *templates: str) -> TextCorpus:
    used = templates or (DEFAULT,)
    return TextCorpus(concept, concept, used, tuple(fill(template, concept) for template in used))


def concepts(*names: str) -> TextFoil:
    return TextFoil(names, (), "names")


@pytest.mark.parametrize(
    ("concept", "name", "why"),
    [
        ("cat", "Cat", "the corpus itself"),
        ("oak tree", "oak_tree", "the corpus itself"),
        ("cat", "cats", "another form of cat"),
        ("mice", "mouse", "another form of mice"),
        ("lawn mower", "lawnmower", "another form of lawn mower"),
        ("car", "automobiles", "another word for car"),
        ("tv", "television_set", "another word for tv"),
        ("bike", "bicycle", "another word for bike"),
        ("cat", "tabby cat", "a kind of cat"),
        ("automobile", "sports cars", "a kind of automobile"),
        ("cat", "kittens", "a kind of cat"),
        ("dog", "Norwich terrier", "a kind of dog"),
        ("insect", "monarch", "a kind of insect"),
        ("cat", "tabby, tabby cat", "a kind of cat"),
        ("tabby, tabby cat", "tabby cat", "the corpus itself"),
        ("canine, dog", "puppy", "a kind of canine"),
        ("hot dog", "hotdog", "another form of hot dog"),
    ],
)
def test_what_means_the_corpus_too(concept: str, name: str, why: str) -> None:
    found = foil_of(corpus(concept), concepts(name, "nothing else"))
    assert found.removed == ((name, why),)
    assert found.texts == ("a photo of a nothing else",)


@pytest.mark.parametrize(
    ("concept", "name"),
    [
        ("dog", "hot dog"), ("dog", "Prairie Dogs"), ("lion", "sea lion"), ("pig", "guinea pig"), ("cat", "Madagascar cat"),
        ("cat", "caterpillar"),
        ("tabby cat", "cat"), ("kitten", "cat"), ("bicycle", "motorcycle"), ("woman", "man"), ("car", "cable car"), ("ball", "balloon"),
        ("man", "woman"), ("train", "trainer"), ("cat", "cat food"), ("glass", "glasses"), ("bear", "teddy bear"), ("car", "truck"),
    ],
)  # fmt: skip
def test_what_does_not(concept: str, name: str) -> None:
    assert meaning(concept).why_left_out(name) is None


def test_names_stand_in_every_template_and_sentences_as_they_are() -> None:
    foil = TextFoil(("owl", "Owl", "sea", "cat"), ("an empty room", "A photo of a CAT.", "a picture of a cat"), "texts")
    found = foil_of(corpus("cat", "a photo of a {}", "the {}"), foil)
    assert found.texts == ("a photo of an owl", "the owl", "a photo of a sea", "the sea", "an empty room", "a picture of a cat")
    assert found.removed == (("cat", "the corpus itself"), ("A photo of a CAT.", "a text of the corpus"))


def test_a_whole_sentence_against_whole_sentences() -> None:
    prompt = TextCorpus("two cats on a sofa", None, (), ("two cats on a sofa",))
    assert foil_of(prompt, TextFoil((), ("a sofa", "two cats on a sofa"), "texts")).texts == ("a sofa",)


def test_names_cannot_be_put_in_a_whole_sentence() -> None:
    prompt = TextCorpus("x", None, (), ("two cats on a sofa",))
    with pytest.raises(ConfigError) as error:
        foil_of(prompt, TextFoil(("dog",), (), "the 100 names of CIFAR-100"))
    assert str(error.value) == (
        "--foil-text: the 100 names of CIFAR-100 cannot be put in the text 'two cats on a sofa'; mark its concept by braces, as in "
        "'a photo of a {cat}', or give whole sentences as the foil"
    )


def test_a_foil_that_is_emptied() -> None:
    with pytest.raises(DataError) as error:
        foil_of(corpus("cat"), TextFoil(("cats", "kitten"), ("a photo of a cat",), "texts"))
    assert str(error.value) == (
        "--foil-text: the foil of 'cat' is emptied by leaving out cats (another form of cat), kitten (a kind of cat) and a photo of a cat "
        "(a text of the corpus); give names of something else, or a whole sentence, which is taken as it stands"
    )


@pytest.mark.parametrize(
    ("num", "text"),
    [
        (0, ""),
        (1, "left out of the foil: n0 (why)"),
        (2, "left out of the foil: n0 (why) and n1 (why)"),
        (4, "left out of the foil: n0 (why), n1 (why), n2 (why) and n3 (why)"),
        (11, "left out of the foil: n0 (why), n1 (why), n2 (why), n3 (why) and 7 more"),
    ],
)
def test_notice(num: int, text: str) -> None:
    assert notice([(f"n{i}", "why") for i in range(num)]) == text


def plural(name: str) -> str:
    """The plural of a name by the school rules, apart from the code under test."""
    last = {"man": "men", "woman": "women", "mouse": "mice", "wolf": "wolves"}
    if name in last:
        return last[name]
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


@pytest.mark.parametrize("name", concept_list("cifar100"))
def test_every_name_of_cifar100_against_all_of_them(name: str) -> None:
    names = concept_list("cifar100")
    found = foil_of(corpus(name), concepts(*names, plural(name), name.upper().replace(" ", "_")))
    assert found.removed[0] == (name, "the corpus itself")
    assert {plural(name)} <= {left_out for left_out, _ in found.removed} <= {name, plural(name)}
    assert [text for text in found.texts if text in (fill(DEFAULT, name), fill(DEFAULT, plural(name)))] == []
    assert len(found.texts) == 99


@pytest.mark.parametrize(
    "names", [concept_list("cifar100"), [" ".join(name.split()) for name in COCO.split(",")]], ids=["cifar100", "coco"]
)
def test_names_of_one_data_set_do_not_mean_each_other(names: tuple[str, ...]) -> None:
    meanings = {name: meaning(name) for name in names}
    meant = {(one, other) for one in names for other in names if one != other and meanings[one].why_left_out(other) is not None}
    assert meant <= {("bird", "kite")}  # which is both


def test_a_sample_of_imagenet_against_all_of_it() -> None:
    names = concept_list("imagenet")
    for name in names[::25]:
        found = foil_of(corpus(name), concepts(*names))
        assert (name, "the corpus itself") in found.removed
        assert len(found.removed) < MOST_LEFT_OUT
        assert fill(DEFAULT, name) not in found.texts


@pytest.mark.parametrize(
    ("concept", "labels", "also"),
    [
        ("dog", range(151, 269), {"African hunting dog"}),
        ("cat", range(281, 286), set()),
        ("snake", range(52, 69), set()),
        ("bird", [*range(7, 25), *range(80, 101), *range(127, 147)], {"crane"}),
        ("monkey", range(370, 383), set()),
        ("bear", range(294, 298), {"giant panda"}),
        ("butterfly", range(321, 327), set()),
    ],
)  # fmt: skip
def test_kinds_of_imagenet_are_where_wordnet_has_them(concept: str, labels: range, also: set[str]) -> None:
    names = concept_list("imagenet")
    own = meaning(concept)
    kinds = {name for name in names if own.why_left_out(name) is not None}
    assert kinds - {"cardigan"} == {names[label] for label in labels} | also  # a cardigan is no dog, but a Cardigan is
