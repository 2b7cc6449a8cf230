"""The two things one does: train a run, explain an encoder. Each reads as the story of what happens."""

from cocoa_pl.runs.explaining import explain
from cocoa_pl.runs.looking import look
from cocoa_pl.runs.training import new_folder, train

__all__ = ["explain", "look", "new_folder", "train"]
