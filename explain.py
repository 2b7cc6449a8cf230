"""Explain the encoder in a checkpoint: ``python explain.py --ckpt PATH [--input PICTURES] [--out DIR] [key=value ...]``."""

from cocoa_pl.cli import parse_explain, run


def main() -> None:
    args = parse_explain()

    from cocoa_pl.runs import explain  # after the options are known to be right: importing torch takes seconds

    explain(args.ckpt, inputs=args.input, out=args.out, untrained=args.untrained, overrides=args.overrides)


if __name__ == "__main__":
    run(main)
