"""``python -m cocoa_pl.localise``: find what texts name, and say how well."""

from cocoa_pl.cli import run
from cocoa_pl.localise.command import parse_localise


def main() -> None:
    request = parse_localise()

    from cocoa_pl.localise.study import study  # after the options are known to be right: importing torch takes seconds

    study(request)


if __name__ == "__main__":
    run(main)
