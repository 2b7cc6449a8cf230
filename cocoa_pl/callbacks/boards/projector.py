"""Files of TensorBoard's projector: representations as points, each with its thumbnail.

``SummaryWriter.add_embedding`` writes a further folder and a further entry at every step; here a tag has one folder, whose files are
replaced, so that a TensorBoard that has read the entry before still finds what it names.

Shape legend: N points, D elements of a representation.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig
from torch import Tensor

from cocoa_pl.files import write_bytes

MAX_SPRITE, MAX_THUMBNAIL = 8192, 48  # pixels a side; browsers draw no larger texture
_CONFIG = "projector_config.pbtxt"
_AT_ONCE = 1024  # thumbnails that are floats at a time


def write_projection(log_dir: Path, tag: str, reps: Tensor, *, thumbnails: Tensor, labels: Sequence[str], step: int) -> None:
    """Write a cloud of points, in place of the tag's earlier one; the entry that names it comes last.

    Args:
        log_dir: folder of the run's event files.
        tag: name of the cloud.
        reps: (N, D) float.
        thumbnails: (N, 3, H, W) uint8.
        labels: N texts; a tab or a line break becomes a space.
        step: epoch, shown after the tag.

    Raises:
        ValueError: reps, thumbnails and labels are not of one number N >= 1, or have other shapes.
        OutputError: a file cannot be written.
    """
    if reps.ndim != 2 or thumbnails.ndim != 4 or not 1 <= len(reps) == len(thumbnails) == len(labels):
        raise ValueError(f"reps (N, D), thumbnails (N, 3, H, W) and N labels: got {reps.shape}, {thumbnails.shape} and {len(labels)}")
    place = Path("projector", tag)
    picture, side = sprite(thumbnails)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    rows = "".join("\t".join(f"{value:.6g}" for value in row) + "\n" for row in reps.float().tolist())
    names = "".join(f"{' '.join(label.split()) or '-'}\n" for label in labels)
    write_bytes(log_dir / place / "tensors.tsv", rows.encode())
    write_bytes(log_dir / place / "metadata.tsv", names.encode())
    write_bytes(log_dir / place / "sprite.png", buffer.getbuffer())
    info = EmbeddingInfo(
        tensor_name=f"{tag}, epoch {step}",
        tensor_shape=list(reps.shape),
        tensor_path=str(place / "tensors.tsv"),
        metadata_path=str(place / "metadata.tsv"),
    )
    info.sprite.image_path = str(place / "sprite.png")
    info.sprite.single_image_dim.extend([side, side])
    _enter(log_dir / _CONFIG, info)


def sprite(thumbnails: Tensor) -> tuple[Image.Image, int]:
    """All thumbnails in rows of one square picture, and the side in pixels of each; they are centred on grey, whole and not stretched.

    Args:
        thumbnails: (N, 3, H, W) uint8.

    Example:
        >>> picture, side = sprite(torch.zeros(5, 3, 20, 40, dtype=torch.uint8))
        >>> picture.size, side
        ((120, 120), 40)
    """
    columns = math.ceil(math.sqrt(len(thumbnails)))
    height, width = thumbnails.shape[-2:]
    side = min(MAX_THUMBNAIL, max(height, width), MAX_SPRITE // columns)
    size = [max(1, round(length * side / max(height, width))) for length in (height, width)]
    top, left = ((side - length) // 2 for length in size)
    cells = torch.full((columns * columns, 3, side, side), 128, dtype=torch.uint8)
    inner = cells[: len(thumbnails), :, top : top + size[0], left : left + size[1]]
    for some, place in zip(torch.split(thumbnails, _AT_ONCE), torch.split(inner, _AT_ONCE), strict=True):
        place.copy_(F.interpolate(some.float(), size, mode="bilinear", antialias=True).round())
    grid = cells.view(columns, columns, 3, side, side).permute(0, 3, 1, 4, 2).reshape(columns * side, columns * side, 3)
    return Image.fromarray(grid.numpy()), side


def _enter(path: Path, info: EmbeddingInfo) -> None:
    """Put an entry into the run's list of clouds, in place of that of the same files; entries of an earlier process stay."""
    config = ProjectorConfig()
    if path.is_file():
        text_format.Parse(path.read_text(), config)
    kept = [other for other in config.embeddings if other.tensor_path != info.tensor_path]
    write_bytes(path, text_format.MessageToString(ProjectorConfig(embeddings=[*kept, info])).encode())
