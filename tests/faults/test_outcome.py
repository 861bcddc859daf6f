from __future__ import annotations

from tests.faults.outcome import COLUMNS, markdown


def books(told: str, seed: int) -> dict[str, object]:
    return {"told": told, "seed": seed, **dict.fromkeys(COLUMNS, 1_000)}


def test_rows_that_ran_take_the_place_of_their_own_and_the_others_stay() -> None:
    before = markdown("", {"a": books("first", 1), "c": books("third", 1)}, "abc")

    after = markdown(before, {"b": books("second", 2), "c": books("third", 3)}, "abc")

    rows = [line.strip("| ").split(" | ") for line in after.splitlines()[2:]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("`a`", "first", "1"),
        ("`b`", "second", "2"),
        ("`c`", "third", "3"),
    ]
    assert all(row[2:-1] == ["1,000"] * len(COLUMNS) for row in rows)


def test_a_row_that_broke_before_there_were_books_does_not_keep_its_old_figures() -> None:
    before = markdown("", {"a": books("first", 1), "b": books("second", 1)}, "ab")

    after = markdown(before, {"a": {"told": "first", "seed": 2, "error": "no primary"}}, "ab")

    assert [line.split(" ")[1] for line in after.splitlines()[2:]] == ["`b`"]


def test_a_column_that_is_new_is_empty_in_the_rows_that_are_older() -> None:
    title = next(reversed(COLUMNS.values()))
    before = (
        markdown("", {"a": books("first", 1)}, "ab").replace(f" {title} |", "").replace(" 1,000 |", "", 1)
    )

    after = markdown(before, {"b": books("second", 2)}, "ab")

    older, newer = ([cell.strip() for cell in line.strip("|").split("|")] for line in after.splitlines()[2:])
    assert (older[0], older[-2:]) == ("`a`", ["", "1"])
    assert (newer[0], newer[-2:]) == ("`b`", ["1,000", "2"])
