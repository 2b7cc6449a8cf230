"""Train an encoder without labels and watch what its representations look at: ``python train.py [--config YAML] [key=value ...]``."""

from cocoa_pl.cli import parse_train, run


def main() -> None:
    config, checkpoint = parse_train()

    from cocoa_pl.runs import train  # after the options are known to be right: importing torch takes seconds

    train(config, resume=checkpoint)


if __name__ == "__main__":
    run(main)
