"""Options of a run: the typed schema, how it is filled, and its help text."""

from cocoa_pl.config.load import load_as, load_config, option_names, read_yaml, to_dict, to_yaml
from cocoa_pl.config.schema import Config
from cocoa_pl.config.study import StudyConfig
from cocoa_pl.config.texts import help_text

__all__ = ["Config", "StudyConfig", "help_text", "load_as", "load_config", "option_names", "read_yaml", "to_dict", "to_yaml"]
