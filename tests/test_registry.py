"""Tables: every entry can be imported, and an unknown name is answered with the choices."""

from __future__ import annotations

import pytest

from cocoa_pl import registry
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import Table

TABLES = {name: table for name, table in vars(registry).items() if isinstance(table, Table)}
ENTRIES = [pytest.param(table, name, id=f"{table.kind}-{name}") for table in TABLES.values() for name in table]


def test_the_tables_are_all_found() -> None:
    assert set(TABLES) >= {"DATASETS", "TARGETS", "ATTRIBUTIONS", "REMOVALS", "OPTIMIZERS", "SCHEDULES"}


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_imports_and_is_callable_and_documented(table: Table, name: str) -> None:
    entry = table.load(name)
    assert callable(entry)
    assert entry.__doc__
    assert entry.__qualname__ == table[name].partition(":")[2]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_an_unknown_name_lists_all_choices_and_the_nearest(table: Table) -> None:
    wanted = max(table, key=len)
    with pytest.raises(ConfigError) as caught:
        table.load(wanted + "x")
    message = str(caught.value)
    assert message.startswith(f"unknown {table.kind} '{wanted}x'; choose from: {', '.join(sorted(table))}")
    assert message.endswith(f"(did you mean '{wanted}'?)")
    assert "\n" not in message


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(ConfigError, match=r"choose from: blur$"):
        Table("removal", blur="math:sqrt").load("qqqq")


def test_a_table_reads_as_a_mapping() -> None:
    table = Table("root", square="math:sqrt", cube="math:cbrt")
    assert dict(table) == {"square": "math:sqrt", "cube": "math:cbrt"}
    assert len(table) == 2
    assert table.load("square")(9) == 3
