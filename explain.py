"""Explain an encoder: ``python explain.py --ckpt PATH [--input PICTURES] [--corpus WHAT] [--foil WHAT] [--out DIR] [key=value ...]``."""

from cocoa_pl.cli import parse_explain, run


def main() -> None:
    request = parse_explain()

    from cocoa_pl.runs import explain  # after the options are known to be right: importing torch takes seconds

    explain(request)


if __name__ == "__main__":
    run(main)
