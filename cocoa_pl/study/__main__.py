"""``python -m cocoa_pl.study``: verify that the features of the corpus are found."""

from cocoa_pl.cli import run
from cocoa_pl.study.command import parse_study


def main() -> None:
    request = parse_study()

    from cocoa_pl.study.study import study  # after the options are known to be right: importing torch takes seconds

    study(request)


if __name__ == "__main__":
    run(main)
