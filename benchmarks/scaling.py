"""Explaining by two processes of one thread, beside one process of one thread: the same explain set, the same weights, in turns.

Three cases: the default run's explain set, whose rows are shared out evenly; one explicand alone, whose masks and steps are shared out; and
an odd number of rows. The two are started once; while one works alone the other waits at a barrier.
"""

from __future__ import annotations

import socket
import statistics
import time
from multiprocessing.queues import SimpleQueue
from typing import Any

import torch
import torch.distributed
import torch.multiprocessing

from benchmarks.common import machine, parse, table
from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.build import build_datamodule, build_explain_set, build_module, build_monitor, build_splits, freeze
from cocoa_pl.callbacks.team import team_of_processes
from cocoa_pl.config import load_config
from cocoa_pl.sharing import ALONE

_CASES = {
    "default run": [],
    "one explicand, one view": ["explain.num_explicands=1", "explain.views=[original]", "explain.num_masks=2048", "explain.num_pairs=0"],
    "three explicands, three views": ["explain.num_explicands=3", "explain.views=[original,flip,crop]", "explain.num_pairs=3"],
}
_SMOKE = [
    "model.width=8", "explain.num_masks=16", "explain.num_steps=2", "explain.foil_size=20", "explain.corpus_size=2",
    "explain.curve_steps=2", "data.num_train=300", "data.num_val=60",
]  # fmt: skip


def main() -> None:
    """Print the table."""
    smoke = parse(__doc__).smoke
    torch.set_num_threads(1)
    print(f"{machine()} each; small_resnet, 32 px, fp32\n")
    results = torch.multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(_member, args=(_free_port(), smoke, results), nprocs=2)
    rows = results.get()
    table(["explain set", "rows", "images encoded by one", "by each of two", "seconds of one", "of two", "speed-up"], rows)


def _member(rank: int, port: int, smoke: bool, results: SimpleQueue[list[tuple[Any, ...]]]) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    team, rows = team_of_processes(torch.device("cpu")), []
    for name, options in list(_CASES.items())[1 if smoke else 0 :]:
        config = load_config(overrides=["trainer.precision=32", *options, *(_SMOKE if smoke else [])])
        splits = build_splits(config)
        module = build_module(config, splits, build_datamodule(config, splits))
        monitor, encoder = build_monitor(config, build_explain_set(config, splits)), freeze(module, config, device=torch.device("cpu"))
        seconds: tuple[list[float], list[float]] = ([], [])
        encoded = [0, 0]
        for repeat in range(2 if smoke else 6):  # the first is the warm-up
            for place, who in enumerate((ALONE, team)):
                torch.distributed.barrier()
                before, began = encoder.num_forwards, time.perf_counter()
                if who is team or rank == 0:
                    monitor.look(encoder, team=who)
                if repeat:
                    seconds[place].append(time.perf_counter() - began)
                encoded[place] = encoder.num_forwards - before
        one, two = map(statistics.median, seconds)
        num_rows = len(monitor.explain_set.explicands)
        rows.append((name, num_rows, *encoded, f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}"))
    if rank == 0:
        results.put(rows)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
