"""Explaining as Lightning's prediction: blocks of pictures shared out over devices and nodes, each block's answer written as it is done.

Every process has as many blocks of its own. Those left over, all of them where there are fewer than processes, are answered by all
together, each process some of the masks and steps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from cocoa_pl.asking.answering import Answering
from cocoa_pl.asking.parts import Parts
from cocoa_pl.callbacks.heartbeat import peer_failure
from cocoa_pl.callbacks.team import team_of
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.types import Rows


class Block(NamedTuple):
    """Pictures that are explained together."""

    number: int
    ids: Tensor  # (n,) positions among the pictures; fewer where some cannot be read; none once the time is up
    pictures: Tensor  # (n, 3, S, S) uint8
    unreadable: tuple[str, ...]  # a sentence for each picture that cannot be read
    together: bool  # whether all processes answer it


class Blocks(Dataset[Block]):
    """Blocks of a source that are still to be done, read when their turn comes.

    Args:
        source: the pictures.
        numbers: which blocks; block b holds the pictures b * size to (b + 1) * size - 1.
        size: pictures in a block.
        deadline: seconds since 1970 from which on blocks come empty; None for never.
        num_together: how many of them, the last, all processes answer together.
    """

    def __init__(
        self, source: Source, numbers: Sequence[int], *, size: int, deadline: float | None = None, num_together: int = 0
    ) -> None:  # fmt: skip
        self.source, self.numbers, self.size, self.deadline, self.num_together = source, list(numbers), size, deadline, num_together

    def share(self, team: Team) -> Blocks:
        """A process's own blocks, and after them those that are left over for all."""
        own, left = (places.tolist() for places in team.split(len(self.numbers)))
        numbers = [self.numbers[place] for place in own + left]
        return Blocks(self.source, numbers, size=self.size, deadline=self.deadline, num_together=len(left))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Block:
        number = self.numbers[index]
        ids, pictures, unreadable = list[int](), list[Tensor](), list[str]()
        late, together = self.deadline is not None and time.time() >= self.deadline, index >= len(self) - self.num_together
        for picture in () if late else range(number * self.size, min((number + 1) * self.size, len(self.source))):
            try:
                pictures.append(self.source.load([picture]))
                ids.append(picture)
            except DataError as error:
                unreadable.append(str(error))
        content = torch.cat(pictures) if pictures else torch.empty(0)
        return Block(number, torch.tensor(ids, dtype=torch.int64), content, tuple(unreadable), together)


class Asking(pl.LightningModule):
    """Explains blocks. What goes wrong is kept and ends this process's share, for the other processes wait where all shares end.

    Args:
        answering: how; its encoder is on this process's device.
        blocks: to be done by all processes together, each its share.
        skip_unreadable: leave out pictures that cannot be read, instead of stopping.
        num_workers: processes that read pictures.
    """

    def __init__(self, answering: Answering, blocks: Blocks, *, skip_unreadable: bool, num_workers: int = 0) -> None:
        super().__init__()
        self.answering, self.blocks, self.skip_unreadable, self.num_workers = answering, blocks, skip_unreadable, num_workers
        self.failure: Exception | None = None
        self._all_know = False  # of the failure

    def predict_dataloader(self) -> DataLoader[Block]:
        """This process's share."""
        share = self.blocks.share(team_of(self.trainer))
        return DataLoader(share, batch_size=1, collate_fn=_only, num_workers=self.num_workers)

    def predict_step(self, batch: Block, batch_idx: int, dataloader_idx: int = 0) -> Rows:
        """The rows of a block; none where it is empty, or where this share has ended."""
        if batch.unreadable and not self.skip_unreadable and self.failure is None:
            self.failure = DataError(f"{batch.unreadable[0]}; data.on_bad_image=skip goes on without it, and keeps what is done")
        if self._all_know:
            return {}
        team = team_of(self.trainer) if batch.together else ALONE
        try:
            with team.lockstep(), torch.inference_mode(False), torch.enable_grad():
                if self.failure is not None:
                    raise self.failure  # for the others to hear, if they wait
                if not _all_have(batch, team):
                    return {}
                answer = self.answering.answer(batch.pictures, batch.ids, team=team)
                return answer if team.rank == 0 else {}
        except Exception as error:  # raised by predict(), once every process has come there
            if self.trainer.world_size == 1:
                raise
            self.failure, self._all_know = self.failure or error, batch.together
            return {}

    def transfer_batch_to_device(self, batch: Block, device: torch.device, dataloader_idx: int) -> Block:
        """Nothing: the encoder takes pictures where it needs them."""
        return batch


class WriteParts(BasePredictionWriter):
    """Writes each block's answer and forgets it; shows how far the work is.

    Args:
        parts: where to.
        frame: which encoder.
        title: of the progress bar; empty for none.
        done: pictures that were done before.
        total: pictures in all.
    """

    def __init__(self, parts: Parts, *, frame: int, title: str, done: int, total: int) -> None:
        super().__init__(write_interval="batch")
        self.parts, self.frame = parts, frame
        self._title, self._done, self._total = title, done, total
        self._bar: Any = None

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        hidden = not self._title or not trainer.is_global_zero
        self._bar = tqdm(total=self._total, initial=self._done, desc=self._title, unit="picture", disable=hidden, smoothing=0.05)

    def write_on_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, prediction: Any, batch_indices: Sequence[int] | None, batch: Block,
        batch_idx: int, dataloader_idx: int,
    ) -> None:  # fmt: skip
        asking = cast(Asking, pl_module)
        first = not batch.together or trainer.is_global_zero
        if first and len(batch.ids) == 0 and batch.unreadable and asking.skip_unreadable and asking.failure is None:
            self.parts.write_empty(self.frame, batch.number)
        if prediction:
            self.parts.write(self.frame, batch.number, prediction)
            num = len(batch.ids) * (1 if batch.together else trainer.world_size)
            self._bar.update(min(num, self._total - self._bar.n))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self._bar is not None:
            self._bar.close()


def _all_have(batch: Block, team: Team) -> bool:
    """Whether there is something to explain: in every process, or the time is up in one of them.

    Raises:
        DataError: another process has read other pictures.
    """
    parts = [part["ids"] for part in team.meet({"ids": batch.ids})]
    if not all(map(len, parts)):
        return False
    if not all(torch.equal(ids, parts[0]) for ids in parts):
        raise DataError("processes have read different pictures; all of them must see the same files")
    return True


def predict(trainer: pl.Trainer, asking: Asking) -> None:
    """Answer all blocks, this process its share, and meet the others.

    Raises:
        Exception: what went wrong, here or in another process; all of them raise.
        KeyboardInterrupt: Ctrl-C.
    """
    run(trainer, asking)
    failures: list[str | None] = [None if asking.failure is None else f"{asking.failure}"]
    if trainer.world_size > 1:
        own, failures = failures[0], [None] * trainer.world_size
        torch.distributed.all_gather_object(failures, own)
    if asking.failure is not None:
        raise asking.failure
    for number, failure in enumerate(failures):
        if failure is not None:
            raise DataError(f"process {number}: {failure}")


def run(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Lightning's prediction, nothing of it kept.

    Raises:
        PeerError: another process has ended.
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        trainer.predict(module, return_predictions=False)
    except RuntimeError as error:
        if (lost := peer_failure(error, trainer)) is None:
            raise
        raise lost from error
    except SystemExit:
        if trainer.interrupted:  # by Ctrl-C, which Lightning ends in a way of its own
            raise KeyboardInterrupt from None
        raise


def _only(blocks: list[Block]) -> Block:
    return blocks[0]
