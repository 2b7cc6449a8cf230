"""Questions in words: which sentences they come to, their directions and noise, and what is said of each text in each picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.asking.choosing import Chosen, ChosenTarget
from cocoa_pl.asking.encoding import Encoded, encode_question
from cocoa_pl.asking.encoding_texts import TextReps, contrast
from cocoa_pl.asking.picks import Pick
from cocoa_pl.asking.prompts import is_missing
from cocoa_pl.asking.question import Directed, directed
from cocoa_pl.asking.texts import ChosenTexts, TextQuestion, choose_texts, pick_texts
from cocoa_pl.attributions.words import word_shapley
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.errors import ConfigError, DataError, DivergedError
from cocoa_pl.monitor.noise import NUM_CONTRASTS
from cocoa_pl.targets import cocoa, corpus_similarity, normalize
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.texts.asked import ConceptBank, TextCorpus, TextFoil
from cocoa_pl.texts.specs import parse_concepts, parse_text_corpora, parse_text_foil
from cocoa_pl.texts.templates import NONSENSE
from tests.asking.colours import NAMES, AsTheyAre, encoder, picture, text_encoder

CPU = torch.device("cpu")
TEMPLATES = ("a photo of a {}", "a {} thing")
DIM = len(NAMES) + 1


def asked(*texts: str, foil: tuple[str, ...] = (), templates: tuple[str, ...] | None = None, **more: object) -> TextQuestion:
    corpora = parse_text_corpora(texts, templates) if texts else ()
    return TextQuestion(corpora, parse_text_foil(foil) if foil else None, **more)  # type: ignore[arg-type]


def chosen(question: TextQuestion, *, pictures: Pick | None = None, none: bool = False) -> ChosenTexts:
    return choose_texts(question, pictures=pictures, none=none, seed=0)


def encoded(texts: ChosenTexts, *, text: FrozenTextEncoder | None = None) -> Encoded:
    return encode_question(
        Chosen((), None, (), texts), lambda *_: torch.empty(0), dim=DIM, seed=0, device=CPU, text=text or text_encoder()
    )  # fmt: skip


def of_pictures(made: Encoded, *pictures: Tensor) -> tuple[Directed, Tensor]:
    reps = normalize(encoder().encode(torch.stack(pictures)))
    return directed(made.asked, reps, reps[:, :0].unsqueeze(2).expand(-1, -1, DIM)), reps


def unit(*texts: str) -> Tensor:
    return normalize(text_encoder().encode(list(texts)))


class TestChoosing:
    def test_without_a_foil_the_other_texts_are_one(self) -> None:
        targets = chosen(asked("red", "blue", "lime", templates=TEMPLATES)).targets
        assert targets[0].texts is not None
        assert targets[0].texts.groups == tuple(tuple(each.prompts) for each in (targets[1].corpus, targets[2].corpus))

    def test_one_text_alone_needs_one(self) -> None:
        with pytest.raises(ConfigError, match="--foil-text: one text alone is contrasted with nothing"):
            chosen(asked("red"))
        assert chosen(asked("red"), none=True).targets[0].texts is None

    def test_two_names_of_one_text_are_refused(self) -> None:
        with pytest.raises(DataError, match="a and b are the same texts"):
            chosen(asked("a=red", "b=red"))

    def test_a_concept_measures_in_all_its_sentences_or_in_none(self) -> None:
        pick, said = pick_texts(asked("red", templates=TEMPLATES).corpora[0], parse_text_foil(NAMES), seed=3)
        assert (len(pick), pick.num_measuring) == (15, 3)
        assert all(len(group) == len(TEMPLATES) for group in pick.groups)
        assert sorted(group[1] for group in pick.groups) == sorted(
            f"{'an' if n[0] in 'aeiou' else 'a'} {n} thing" for n in NAMES if n != "red"
        )
        assert len(said) == 1
        assert said[0].startswith("red: left out of the foil: red")
        again, _ = pick_texts(asked("red", templates=TEMPLATES).corpora[0], parse_text_foil(NAMES), seed=3)
        other, _ = pick_texts(asked("red", templates=TEMPLATES).corpora[0], parse_text_foil(NAMES), seed=4)
        assert again == pick
        assert other.groups != pick.groups

    def test_eleven_texts_are_too_few_to_keep_some_apart(self) -> None:
        pick, _ = pick_texts(asked("red").corpora[0], parse_text_foil(NAMES[1:12]), seed=0)
        assert (len(pick), pick.num_measuring) == (11, 0)

    def test_a_bank_has_no_more_places_than_concepts(self) -> None:
        assert chosen(asked(bank=parse_concepts(["red", "blue"], None), top=5)).top == 2


class TestDirections:
    def test_are_those_of_cocoa(self) -> None:
        texts = chosen(asked("red", "blue", foil=("green", "lime", "teal")))
        whole, _ = of_pictures(encoded(texts), picture("red", "blue"))
        foil = text_encoder().encode([f"a photo of a {name}" for name in ("green", "lime", "teal")])
        for name in ("red", "blue"):
            expected = cocoa(text_encoder().encode([f"a photo of a {name}"]), foil).directions
            torch.testing.assert_close(whole.directions()[f"-{name}"], expected)

    def test_of_several_sentences_are_means(self) -> None:
        whole, _ = of_pictures(encoded(chosen(asked("red", foil=("blue", "lime"), templates=TEMPLATES))), picture("red", "blue"))
        foil = unit(*(template.replace("{}", name) for name in ("blue", "lime") for template in TEMPLATES))
        torch.testing.assert_close(whole.directions()["-red"][0], unit("a photo of a red", "a red thing").mean(0) - foil.mean(0))

    def test_measuring_ones_are_made_of_texts_kept_apart(self) -> None:
        texts = chosen(asked("red", foil=NAMES))
        pick = texts.targets[0].texts
        assert pick is not None
        whole, _ = of_pictures(encoded(texts), picture("red", "blue"))
        own = unit("a photo of a red")[0]
        for measure, groups in ((False, pick.groups[:12]), (True, pick.groups[12:])):
            expected = own - unit(*(text for group in groups for text in group)).mean(0)
            torch.testing.assert_close(whole.directions(measure=measure)["-red"][0], expected)

    def test_without_a_foil_a_text_is_only_similar(self) -> None:
        whole, reps = of_pictures(encoded(chosen(asked("red"), none=True)), picture("red", "blue"))
        torch.testing.assert_close(whole.directions()["-red"], corpus_similarity(unit("a photo of a red")).directions)
        assert whole.targets["-red"].ranks(reps).isnan().all()
        assert list(whole.hidden()) == ["nonsense/red"]

    @pytest.mark.parametrize("num", [3, 40])
    def test_of_pictures_and_texts_as_many_make_a_foil(self, num: int) -> None:
        reps = normalize(torch.rand(num, DIM, generator=torch.Generator().manual_seed(0)))
        pictures = Pick(None, (), reps, "some pictures", apart=4)
        texts, _ = pick_texts(asked("red").corpora[0], parse_text_foil(NAMES), seed=0)
        text_reps = TextReps(text_encoder(), dim=DIM, device=CPU)
        (explaining, measuring), said = contrast(pictures, texts, lambda pick: reps, text_reps)
        own, each = text_reps.means(texts.groups, "--foil-text"), 12 if num == 40 else 3
        torch.testing.assert_close(explaining, torch.cat([reps[:each], own[:each]]))
        torch.testing.assert_close(measuring, torch.cat([reps[-10:][:3] if num == 40 else reps, own[12:]]))
        assert f"{each} pictures (some pictures) and {each} texts (16 texts): as many of both" in said

    def test_nobody_judges_texts_by_the_curve_of_samples(self) -> None:
        whole, _ = of_pictures(encoded(chosen(asked("red", foil=NAMES, templates=TEMPLATES))), picture("red", "blue"))
        separation = whole.targets["-red"].separation()
        assert separation.auroc.isnan().all()
        assert separation.standard_error.isnan().all()


class TestNoise:
    def drawn(self, question: TextQuestion) -> float:
        """Mean squared length of contrasts."""
        whole, _ = of_pictures(encoded(chosen(question)), picture("red", "blue"))
        drawn = whole.contrasts(torch.arange(3000), torch.zeros(3000, dtype=torch.long), seed=0).directions
        assert len(drawn) == NUM_CONTRASTS * len(whole.targets)
        return float(drawn[:: len(whole.targets)].square().sum(-1).mean())

    def test_a_prompt_is_no_sample(self) -> None:
        assert self.drawn(asked("red", "blue")) == 0

    def test_of_one_prompt_it_is_that_of_the_foil(self) -> None:
        foil = unit(*(f"a photo of a {name}" for name in NAMES[2:12]))
        assert self.drawn(asked("red", foil=NAMES[2:12])) == pytest.approx(float(foil.var(0).sum() / 10), rel=0.1)

    def test_of_several_prompts_it_is_theirs_too(self) -> None:
        own = unit("a photo of a red", "red blue", "red lime", "red teal")
        corpus = TextCorpus("red", None, (), ("a photo of a red", "red blue", "red lime", "red teal"))
        question = TextQuestion((corpus,), TextFoil((), ("green", "navy"), "two texts"))
        foil = unit("green", "navy")
        assert self.drawn(question) == pytest.approx(float(own.var(0).sum() / 4 + foil.var(0).sum() / 2), rel=0.1)


class TestRanks:
    def test_are_shares_of_texts_that_score_lower(self) -> None:
        whole, reps = of_pictures(encoded(chosen(asked("red", "navy", foil=NAMES))), picture("red", "blue"), picture("lime", "teal"))
        scores = {name: (reps @ unit(f"a photo of a {name}")[0]).tolist() for name in NAMES}
        for name in ("red", "navy"):
            found = whole.targets[f"-{name}"].ranks(reps)
            for n in range(2):
                others = [scores[other][n] for other in NAMES if other != name]
                assert float(found[n]) == pytest.approx(np.mean([other < scores[name][n] for other in others]), abs=1e-6)

    def test_of_concepts_are_their_places(self) -> None:
        made = encoded(chosen(asked(bank=parse_concepts(NAMES, TEMPLATES), top=4)))
        whole, reps = of_pictures(made, picture("red", "blue"), picture("lime", "teal"))
        for place in range(4):
            np.testing.assert_allclose(whole.targets[f"-concept {place + 1}"].ranks(reps), 1 - place / 15, atol=1e-6)

    def test_how_often_what_is_not_there_is_found(self) -> None:
        """As the docstring says, of texts that have nothing to do with the picture."""
        draw = torch.Generator().manual_seed(0)
        for num, share in ((99, 0.9), (10, 0.64), (3, 0)):
            own, foil = torch.rand(4000, generator=draw), torch.rand(4000, num, generator=draw)
            ranks = (foil < own[:, None]).float().mean(1)
            assert float(is_missing(ranks, num).float().mean()) == pytest.approx(share, abs=0.02)
        assert not is_missing(torch.tensor([torch.nan]), 99).any()

    def test_three_other_things_may_be_in_the_picture(self) -> None:
        assert is_missing(torch.tensor([1 - 3 / 7, 1 - 4 / 7]), 7).tolist() == [False, True]


class TestConcepts:
    def test_are_the_best_of_each_picture(self) -> None:
        made = encoded(chosen(asked(bank=parse_concepts(NAMES, None), top=2)))
        whole, _ = of_pictures(made, picture("red", "blue"), picture("lime", "teal"))
        found = [[NAMES[int(label)] for label in whole.targets[f"-concept {place}"].labels.tolist()] for place in (1, 2)]  # type: ignore[union-attr]
        assert [set(pair) for pair in zip(*found, strict=True)] == [{"red", "blue"}, {"lime", "teal"}]
        everything = unit(*(f"a photo of {'an' if n[0] in 'aeiou' else 'a'} {n}" for n in NAMES))
        for place in (1, 2):
            target = whole.targets[f"-concept {place}"]
            expected = everything[target.labels] - everything.mean(0)
            torch.testing.assert_close(whole.directions()[f"-concept {place}"], expected)
            assert torch.equal(whole.directions(measure=True)[f"-concept {place}"], whole.directions()[f"-concept {place}"])

    def test_a_thousand_are_encoded_once_and_kept_once(self) -> None:
        bank = ConceptBank(tuple(f"thing {number}" for number in range(1000)), ("a {}",), "a thousand")
        text = text_encoder()
        made = encoded(chosen(asked(bank=bank, top=5)), text=text)
        assert text.num_forwards == 1000 + len(NONSENSE)
        assert len({each.corpus.data_ptr() for each in made.asked}) == 1
        whole, _ = of_pictures(made, picture("red", "blue"))
        assert set(whole.hidden()) == {"nonsense//concepts", "absent//concepts"}  # one of each, not one a place


class TestCompany:
    def test_nonsense_stands_in_the_same_sentences_and_against_the_same_texts(self) -> None:
        names = ("blue", "lime", "teal")
        whole, reps = of_pictures(encoded(chosen(asked("red", foil=names))), picture("red", "blue"))
        everything = unit(*(f"a photo of a {name}" for name in ("red", *names)))
        hidden = whole.hidden()
        nonsense = unit(*(f"a photo of a {word}" for word in NONSENSE)).mean(0)
        torch.testing.assert_close(hidden["nonsense/red"][0], nonsense - everything.mean(0))
        least = everything[1:][int((everything[1:] @ reps[0]).argmin())]
        torch.testing.assert_close(hidden["absent/red"][0], least - everything.mean(0))

    def test_where_nonsense_has_no_room_it_stands_in_a_plain_sentence(self) -> None:
        """Words that a tokenizer takes for many."""

        class Letters(AsTheyAre):
            context_length = 30

            def num_tokens(self, text: str, /) -> int:
                return len(text)

        text = FrozenTextEncoder(lambda tokens: torch.ones(len(tokens), DIM), Letters())
        assert TextReps(text, dim=DIM, device=CPU).nonsense(("a very, very long sentence: {}",)).shape == (DIM,)

    def test_of_two_texts_none_is_absent(self) -> None:
        whole, _ = of_pictures(encoded(chosen(asked("red", "blue"))), picture("red", "blue"))
        assert set(whole.hidden()) == {"nonsense/red", "nonsense/blue"}

    def test_words_share_out_the_likeness_to_a_picture(self) -> None:
        made = encoded(chosen(asked("a {red} and white thing", foil=("blue", "lime"), words=True)))
        prompted = made.asked[0].prompted
        assert prompted is not None
        assert prompted.words == ("a", "red", "and", "white", "thing")
        reps = normalize(encoder().encode(torch.stack([picture("red", "blue"), picture("white", "lime")])))
        direct = word_shapley(text_encoder().encode, "a red and white thing", reps)
        found = reps @ prompted.word_directions.T
        torch.testing.assert_close(found, direct.values, atol=1e-6, rtol=0)
        full, empty = reps @ unit("a red and white thing")[0], reps @ unit(".")[0]
        torch.testing.assert_close(found.sum(1), full - empty, atol=1e-6, rtol=0)
        assert found[0].argmax() == 1
        assert found[1].argmax() == 3


class TestWhatCannotBe:
    def test_a_text_that_is_too_long(self) -> None:
        with pytest.raises(DataError, match=r"has 30 tokens, the text encoder takes 24"):
            encoded(chosen(asked(" ".join(["very"] * 29) + " {red}", foil=("blue",))))

    def test_encoders_of_other_lengths(self) -> None:
        text = FrozenTextEncoder(lambda tokens: torch.ones(len(tokens), 5), AsTheyAre())
        with pytest.raises(DataError, match="of length 5, the image encoder 17: they share no space"):
            encoded(chosen(asked("red", "blue")), text=text)

    def test_texts_that_are_nan(self) -> None:
        text = FrozenTextEncoder(lambda tokens: torch.full((len(tokens), DIM), torch.nan), AsTheyAre())
        with pytest.raises(DivergedError, match="the text encoder's representations hold NaN"):
            encoded(chosen(asked("red", "blue")), text=text)

    def test_a_foil_of_the_corpus_alone(self) -> None:
        with pytest.raises(DataError, match="the foil of 'red' is emptied"):
            chosen(asked("red", foil=("Red", "reds")))


def test_every_sentence_says_what_is_compared() -> None:
    pictures = Pick(None, (), torch.rand(30, DIM), "some pictures")
    made = encoded(chosen(asked("red", "a whole sentence about nothing at all", foil=("blue sky in the morning sun",), bank=None)))
    assert made.facts[0] == "red: likeness to the text 'a photo of a red', beyond that to one text ('blue sky in the morning sun')."
    only = encode_question(
        Chosen((), pictures, (), chosen(asked("red"), pictures=pictures)), lambda *_: torch.empty(0), dim=DIM, seed=0, device=CPU,
        text=text_encoder(),
    )  # fmt: skip
    assert only.facts[0] == "red: likeness to the text 'a photo of a red', beyond that to 20 pictures (some pictures)."
    several = encoded(chosen(asked("red", "blue", templates=TEMPLATES)))
    assert several.facts[0] == "red: likeness to 2 texts such as 'a photo of a red', beyond that to one text (the other texts)."
    bank = encoded(replace(ChosenTexts(), bank=parse_concepts(NAMES, TEMPLATES), top=3))
    assert bank.facts[0].startswith("concept 1 to 3: likeness to those of 16 concepts (16 names, in 2 sentences each)")
    assert bank.health[0] != bank.health[0]


class TestWhatIsSaid:
    @pytest.fixture
    def of_words(self) -> FrozenTextEncoder:
        """A text side that knows few words, and reads no more than nine."""
        tokenizer = WordTokenizer(["a", "photo", "of", "red", "blue", "square", "with"], context_length=10)
        return FrozenTextEncoder(nn.Sequential(nn.Embedding(tokenizer.size, 2), nn.Flatten(), nn.Linear(20, DIM)), tokenizer)

    def test_unknown_words_of_texts_and_of_their_foil(self, of_words: FrozenTextEncoder) -> None:
        made = encoded(chosen(asked("red zebra", "blue", foil=("a red lion", "zebra", "a square"))), text=of_words)
        assert len(made.notices) == 2
        assert "does not know the words: zebra. " in made.notices[0]
        assert "these words of the foil: lion. " in made.notices[1]
        assert encoded(chosen(asked("red", "blue")), text=of_words).notices == ()
        assert encoded(chosen(asked("zebra", "blue"))).notices == (), "an encoder that takes any text apart"

    @pytest.mark.parametrize(
        ("question", "said"),
        [
            (asked("red", "tabby zebra"), "--corpus-text: the text encoder knows no word of tabby, zebra, so maps would mean nothing"),
            (asked("two zebras behind every lion", "red"), "--corpus-text: the text encoder knows no word of two, zebras, behind"),
            (asked(bank=parse_concepts(["lion", "zebra"], None), top=1), "--concepts: the text encoder knows no word of lion, zebra"),
        ],
    )
    def test_texts_of_which_no_word_is_known_are_refused(self, of_words: FrozenTextEncoder, question: TextQuestion, said: str) -> None:
        with pytest.raises(DataError, match=said):
            encoded(chosen(question), text=of_words)

    @pytest.mark.parametrize(
        ("question", "option"),
        [
            (asked("red", "a red square with a blue square with a red square"), "--corpus-text"),
            (asked("red", foil=("a red square with a blue square with a red square",)), "--foil-text"),
            (asked("red", "blue", templates=("a photo of a {}", "a photo of a photo of a photo of a {}")), "--template"),
            (asked(bank=parse_concepts(["red", "blue"], ("a photo of a photo of a photo of a {}",)), top=1), "--template"),
            (asked(bank=parse_concepts(["red", "red square with a blue square with a"], None), top=1), "--concepts"),
        ],
    )
    def test_a_text_that_is_too_long_names_its_option(self, of_words: FrozenTextEncoder, question: TextQuestion, option: str) -> None:
        with pytest.raises(DataError, match=f"^{option}: the text .* tokens, the text encoder takes 10: shorten it"):
            encoded(chosen(question), text=of_words)

    @pytest.mark.parametrize(("num", "told"), [(2, True), (3, True), (4, False)])
    def test_whether_the_foil_has_too_few_texts_to_tell_what_is_there(self, num: int, told: bool) -> None:
        facts = encoded(chosen(asked("red", foil=NAMES[1 : num + 1]))).facts
        assert ("The foil has too few texts to tell whether what is asked is in a picture at all: red." in facts) == told
        assert bool(is_missing(torch.zeros(1), num)) != told

    @pytest.mark.parametrize("num", [4, 5])
    def test_a_concept_is_not_among_the_others(self, num: int) -> None:
        facts = encoded(chosen(asked(bank=parse_concepts(list(NAMES[:num]), None), top=1))).facts
        assert any("too few texts to tell" in fact for fact in facts) == (num == 4)

    @pytest.mark.parametrize("kind", ["pictures", "self"])
    def test_pictures_against_texts_have_no_quality(self, kind: str) -> None:
        draw = torch.Generator().manual_seed(0)
        corpus, foil = (Pick(None, (), torch.rand(9, DIM, generator=draw), words) for words in ("a corpus", "a foil"))
        texts, _ = pick_texts(asked("red").corpora[0], parse_text_foil(NAMES), seed=0)
        for own_foil, own_texts, known in ((foil, None, True), (None, texts, False), (foil, texts, False)):
            target = ChosenTarget("mine", kind, corpus if kind == "pictures" else None, own_foil, texts=own_texts)
            made = encode_question(
                Chosen((target,), own_foil, ()), lambda *_: torch.empty(0), dim=DIM, seed=0, device=CPU, text=text_encoder()
            )  # fmt: skip
            views = torch.rand(1, 4, DIM, generator=draw)
            separation = next(iter(directed(made.asked, torch.rand(1, DIM, generator=draw), views).targets.values())).separation()
            assert bool(separation.auroc.isfinite().all()) == known
            assert any("the gap between pictures and texts alone would make it 1: mine." in fact for fact in made.facts) != known

    def test_a_text_against_pictures_says_so_too(self) -> None:
        foil = Pick(None, (), torch.rand(9, DIM, generator=torch.Generator().manual_seed(0)), "a foil")
        facts = encoded(chosen(asked("red"), pictures=foil)).facts
        assert any("the gap between pictures and texts alone would make it 1: red." in fact for fact in facts)
