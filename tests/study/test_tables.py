"""Tables of a study whose numbers are known."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.metrics.intervals import t_interval
from cocoa_pl.study.latex import escaped, latex
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, TARGETS, Areas, Cell, Cost, EncoderFacts, Factor, Level, Results
from cocoa_pl.study.rows import Column, Row, difference_rows, factor_rows, grid_columns, grid_rows, num_differences
from cocoa_pl.study.tables import differences_csv, factors_csv, grid_csv, markdown
from cocoa_pl.study.writing import told

METHODS = ("integrated_gradients", "rise")
PLACES = [(method, target) for method in METHODS for target in (*TARGETS, RANDOMISED)]
CONTROLS = [(CONTROL, name) for name in ("random", "smooth_random", "centre_bias")]
COLUMN = Column("A_1", MEASURES[0])


def areas(insertion: Tensor, deletion: Tensor) -> Areas:
    curve = torch.zeros(len(insertion), 3)
    return Areas(insertion, deletion, curve, curve)


def known(*, seeds: int = 5, encoders: Sequence[str] = ("A_1", "B & C"), settings: Sequence[str] = ("same", "different")) -> Results:
    """COCOA's insertion is .1 above that of every other target for every explicand, its deletion the same up to noise."""
    draw = torch.Generator().manual_seed(0)
    results = Results(
        encoders=tuple(EncoderFacts(title, {"network": "resnet"}, 0.9, 0.95) for title in encoders),
        seeds=tuple(range(seeds)),
        costs={title: Cost(1000, 12_345, 754.0) for title in encoders},
    )
    for title in encoders:
        for setting in settings:
            for measure in MEASURES[:2]:
                common = torch.rand(seeds, 4, generator=draw, dtype=torch.float64)
                for method, target in [*CONTROLS, *reversed(PLACES)]:
                    noise = 0.01 * torch.randn(2, seeds, 4, generator=draw, dtype=torch.float64)
                    if method == CONTROL or target == RANDOMISED:
                        results.grid[Cell(title, setting, measure, method, target)] = areas(common, common + 0.1 * noise[1])
                    else:
                        insertion = common + 0.3 + 0.1 * (target == "cocoa")
                        results.grid[Cell(title, setting, measure, method, target)] = areas(insertion, common + noise[1])
        results.factors += [factor(title, seeds, "corpus_size", ("1", "20", "100")), factor(title, 1, "cascade", ("", "fc", "conv_1"))]
    return results


def factor(title: str, seeds: int, name: str, levels: Sequence[str]) -> Factor:
    draw = torch.Generator().manual_seed(1)
    gaps = torch.rand(seeds, 6, generator=draw, dtype=torch.float64)
    return Factor(
        encoder=title,
        name=name,
        method="rise",
        reference=levels[0] if name == "cascade" else levels[-1],
        levels=tuple(
            Level(level, {MEASURES[0]: gaps + 0.5 - 0.2 * n, MEASURES[1]: gaps}, gaps - 0.4 * n) for n, level in enumerate(levels)
        ),
    )


@pytest.fixture(scope="module")
def results() -> Results:
    return known()


def the(rows: Sequence[Row], group: str, name: str) -> Row:
    return next(row for row in rows if (row.group, row.name) == (group, name))


def row_of(text: str, **where: str) -> dict[str, str]:
    return next(row for row in csv.DictReader(io.StringIO(text)) if all(row[key] == value for key, value in where.items()))


def test_rows_stand_by_method_with_cocoa_then_the_randomised_network_and_controls_last(results: Results) -> None:
    rows = grid_rows(results, "same", [COLUMN])
    assert [(row.group, row.name) for row in rows] == [
        *((method, target) for method in reversed(METHODS) for target in (*TARGETS, RANDOMISED)),
        *CONTROLS,
    ]


def test_intervals_are_those_of_scipy(results: Results) -> None:
    cell = results.grid[Cell("A_1", "same", MEASURES[0], "rise", "corpus")]
    text = grid_csv(results)
    row = row_of(text, encoder="A_1", setting="same", measure=MEASURES[0], method="rise", target="corpus")
    assert row["num_seeds"] == "5"
    assert len(text.splitlines()) == 1 + len(results.grid)
    for quantity, values in (("insertion", cell.insertion), ("deletion", cell.deletion), ("gap", cell.insertion - cell.deletion)):
        means = values.numpy().mean(1)
        low, high = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
        assert [float(row[f"{quantity}{end}"]) for end in ("", "_low", "_high")] == pytest.approx([means.mean(), low, high], rel=1e-5)


def test_differences_are_paired(results: Results) -> None:
    cocoa, other = (
        results.grid[Cell("A_1", "same", MEASURES[0], *place)].gap.numpy().mean(1) for place in (("rise", "cocoa"), CONTROLS[0])
    )
    low, high = stats.ttest_rel(cocoa, other).confidence_interval()
    where = {"encoder": "A_1", "setting": "same", "measure": MEASURES[0], "method": "rise"}
    text = differences_csv(results)
    row = row_of(text, **where, against_method="control", against="random")
    assert [float(row[f"difference{end}"]) for end in ("", "_low", "_high")] == pytest.approx([(cocoa - other).mean(), low, high], rel=1e-5)
    shown = the(difference_rows(results, "same", [COLUMN]), "rise", "random").numbers[0]
    assert shown is not None
    assert shown.bold
    assert (shown.interval.low, shown.interval.high) == pytest.approx((low, high), rel=1e-5)
    assert len(text.splitlines()) == 1 + 2 * 2 * 2 * 2 * (4 + 3)
    assert not {row.name for row in difference_rows(results, "same", [COLUMN])} & {"cocoa"}


def test_bold_is_the_best_target_where_it_is_told_from_every_other(results: Results) -> None:
    columns = grid_columns(results, "same", encoder="A_1")
    rows = grid_rows(results, "same", columns)
    bold = {
        (row.group, row.name, column.quantity)
        for row in rows
        for column, number in zip(columns, row.numbers, strict=True)
        if number and number.bold
    }
    assert {("rise", "cocoa", "insertion"), ("rise", "cocoa", "gap")} <= bold
    assert all(target in TARGETS for _, target, _ in bold)

    def of(**targets: Sequence[float]) -> Results:
        cells = {
            Cell("A_1", "same", MEASURES[0], "rise", target): areas(torch.zeros(3, 1), torch.tensor(values)[:, None])
            for target, values in targets.items()
        }
        return Results(grid=cells)

    def found(given: Results, quantity: str = "deletion") -> set[str]:
        rows = grid_rows(given, "same", [COLUMN._replace(quantity=quantity)])
        return {row.name for row in rows if row.numbers[0] is not None and row.numbers[0].bold}

    clear = of(corpus=[0.1, 0.2, 0.3], cocoa=[0.2, 0.31, 0.4], label_free=[0.3, 0.41, 0.5])
    assert found(clear) == {"corpus"}  # lowest deletion
    assert found(clear, "gap") == {"corpus"}
    assert found(of(corpus=[0.1, 0.2, 0.3], cocoa=[0.1, 0.2, 0.3])) == set()  # a tie
    assert found(of(corpus=[0.1, 0.2, 0.3], cocoa=[0.2, 0.31, 0.4], label_free=[0.9, 0.1, 0.9])) == set()  # not told from one of them
    assert found(of(corpus=[0.1, 0.2, 0.3])) == set()  # nothing to be better than
    assert found(of(corpus=[0.1], cocoa=[0.2])) == set()
    nothing = float("nan")
    assert found(of(corpus=[nothing] * 3, cocoa=[0.2, 0.31, 0.4])) == set()
    assert found(of(corpus=[0.1, nothing, 0.3], cocoa=[0.2, 0.31, 0.48])) == set()  # two seeds are left, and Student's t is 12.7
    assert found(of(corpus=[0.1, 0.21, 0.3], cocoa=[0.2, 0.31, 0.48])) == {"corpus"}
    randomised = of(corpus=[0.1, 0.2, 0.3], cocoa=[0.2, 0.31, 0.4], randomised=[0.0, 0.0, 0.0])
    assert found(randomised) == {"corpus"}  # of the four targets alone


def test_an_explicand_unknown_in_one_of_a_pair_is_left_out_of_both() -> None:
    other = torch.rand(3, 4, dtype=torch.float64)
    cocoa = other + torch.tensor([0.1, 0.2, 0.3]).double()[:, None]
    cocoa[0, 1] = float("nan")
    places = {"cocoa": cocoa, "corpus": other}
    given = Results(grid={Cell("A_1", "same", MEASURES[0], "rise", k): areas(v, torch.zeros(3, 4)) for k, v in places.items()})
    row = row_of(differences_csv(given), against="corpus")
    assert float(row["difference"]) == pytest.approx(0.2, abs=1e-6)


def test_levels_are_compared_with_the_reference(results: Results) -> None:
    own = results.factors[0]
    rows = factor_rows(own, measures=MEASURES[:2])
    assert [row.name for row in rows] == ["1", "20", "100"]
    assert rows[2].numbers[1] is None
    shown = rows[0].numbers[1]
    assert shown is not None
    assert (shown.interval.mean, shown.bold) == (pytest.approx(0.4), True)
    row = row_of(factors_csv(results), factor="corpus_size", level="20", measure=MEASURES[0])
    gaps = own.levels[1].gaps[MEASURES[0]].numpy().mean(1)
    assert [float(row["gap_low"]), float(row["gap_high"])] == pytest.approx(
        stats.t.interval(0.95, 4, gaps.mean(), stats.sem(gaps)), rel=1e-5
    )
    assert (row["is_reference"], row["num"], float(row["difference"])) == ("0", "5", pytest.approx(0.2))
    one_seed = row_of(factors_csv(results), factor="cascade", level="fc", measure=MEASURES[0])
    explicands = results.factors[1].levels[1].gaps[MEASURES[0]][0].numpy()
    low, _ = stats.t.interval(0.95, 5, explicands.mean(), stats.sem(explicands))
    assert (one_seed["num"], float(one_seed["gap_low"])) == ("6", pytest.approx(low, rel=1e-5))


def test_the_page_has_every_number_once_and_its_tables_are_whole(results: Results) -> None:
    page = markdown(results, title="A study", facts=["Two encoders."])
    assert page.startswith("# A study\n\nTwo encoders.\n\n## What was found\n\n")
    for block in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    cell = results.grid[Cell("B & C", "different", MEASURES[1], "rise", "corpus")]
    assert told(t_interval(cell.gap.mean(1))) in page
    assert "**+0.1" in page
    assert "12m34s" in page
    assert "12.3 x" in page
    assert "nan" not in page


def test_levels_of_two_yardsticks_are_not_bold_and_the_page_says_why(results: Results) -> None:
    for name, bold in (("corpus_size", True), ("removal", False), ("blur_sigma", False)):
        own = factor("A_1", 5, name, ("1", "20", "100"))
        numbers = [row.numbers[1] for row in factor_rows(own, measures=MEASURES[:1])[:2]]
        assert [number is not None and number.bold for number in numbers] == [bold, bold]
        page = markdown(Results(factors=[own], seeds=range(5)), title="A study", facts=[])
        assert ("two yardsticks" in page) == (not bold)
        assert ("yardstick" in latex(Results(factors=[own]))["sensitivity.tex"]) == (not bold)
        assert "there are 2 differences on this page" in page
        assert "6 explicands a seed, 5 seeds" in page
    page = markdown(Results(factors=results.factors[:2], seeds=range(5)), title="A study", facts=[])
    assert "6 explicands of one seed, intervals over them" in page
    assert "also with `study.in_sample`" in page
    assert "study.in_sample" not in markdown(Results(factors=results.factors[1:2]), title="A study", facts=[])  # the cascade
    pairs = 2 * 2 * (len(METHODS) * (len(TARGETS) + len(CONTROLS)))  # of two measures in two settings, for an encoder
    assert num_differences(results) == 2 * (pairs + 2 + 2)  # and of the levels of two factors
    assert num_differences(Results()) == 0


def test_what_is_not_known_of_an_encoder_is_a_dash() -> None:
    page = markdown(Results(encoders=(EncoderFacts("A", {}, 0.9, float("nan")),)), title="A study", facts=[])
    assert "| encoder | accuracy of the linear head | reliability of RISE's COCOA maps |" in page
    assert "| A | 0.900 | - | - | - | - | - |" in page


def test_one_seed_has_means_alone_and_the_page_says_so() -> None:
    given = known(seeds=1, encoders=("A_1",), settings=("same",))
    page = markdown(given, title="A study", facts=[])
    assert "One seed" in page
    grid = page[page.index("## A_1, same class") : page.index("## Sensitivity")]
    assert "**" not in grid
    assert "[" not in grid
    assert "nan" not in page
    row = row_of(grid_csv(given), target="cocoa")
    assert (row["gap_low"], row["gap_high"], row["num_seeds"]) == ("", "", "1")
    assert r"\pm" not in latex(given)["grid_same.tex"]


@pytest.mark.parametrize("given", [Results(), known(seeds=2, encoders=("A",), settings=("different",))], ids=["nothing", "one setting"])
def test_missing_parts_are_left_out(given: Results) -> None:
    assert "nan" not in markdown(given, title="A study", facts=[])
    assert ("grid_different.tex" in latex(given)) == bool(given.grid)
    assert "grid_same.tex" not in latex(given)
    grid = {cell: own for cell, own in given.grid.items() if cell.target == "label_free" and cell.measure == MEASURES[1]}
    partial = Results(grid=grid, seeds=given.seeds)
    assert "COCOA minus" not in markdown(partial, title="A study", facts=[])
    assert differences_csv(partial).count("\n") == 1


def test_latex_is_well_formed(results: Results) -> None:
    files = latex(results)
    names = [f"{kind}_{setting}.tex" for setting in ("same", "different") for kind in ("grid", "measures", "differences")]
    assert list(files) == [*names, "sensitivity.tex", "cascade.tex", "cost.tex"]
    for text in files.values():
        lines = [line for line in text.splitlines() if not line.startswith("%")]
        columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])
        assert columns is not None
        assert lines[-1] == r"\end{tabular}"
        for line in lines:
            plain = line.replace(r"\{", "").replace(r"\}", "")
            assert plain.count("{") == plain.count("}")
            assert len(re.findall(r"(?<!\\)\$", line)) % 2 == 0
            assert not re.search(r"(?<!\\)[_#%]", line)
            if line.endswith(r"\\"):
                wide = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + wide == len(columns[1]) - 1
    assert r"B \& C" in files["grid_same.tex"]
    assert r"A\_1" in files["cost.tex"]
    cell = results.grid[Cell("A_1", "same", MEASURES[0], "rise", "cocoa")]
    means = cell.insertion.numpy().mean(1)
    half = stats.t.ppf(0.975, 4) * np.std(means, ddof=1) / 5**0.5
    assert rf"\textbf{{{means.mean():.3f}}} {{\scriptsize $\pm$ {half:.3f}}}" in files["grid_same.tex"]


def test_nothing_in_a_title_is_a_command() -> None:
    assert escaped(r"a\b{c}_$d^~[*]") == r"a\textbackslash{}b\{c\}\_\$d\textasciicircum{}\textasciitilde{}{[}{*}]"
