"""What the two scripts share: reading the command line, and one-line errors.

No torch here: ``--help`` and a wrong option answer in a fraction of a second.
"""

from cocoa_pl.cli.common import run
from cocoa_pl.cli.explaining import parse_explain
from cocoa_pl.cli.request import Request
from cocoa_pl.cli.training import parse_train

__all__ = ["Request", "parse_explain", "parse_train", "run"]
