"""Masks from boxes by a promptable model of transformers (SAM and its like): a plug-in."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.scene.types import Floats, Mask

_loaded: dict[str, tuple[Any, Any]] = {}


def segment(color: NDArray[np.uint8], boxes: Floats, name: str) -> Mask:
    """Return the mask of each box [N, H, W].

    Args:
        color: [H, W, 3] RGB.
        boxes: [N, 4] px.
        name: folder of a model, or its name on the hub, e.g. ``facebook/sam-vit-base``.

    Raises:
        BackendError: transformers is not installed.
        InputError: there is no such model.
    """
    import torch

    model, processor = load(name)
    inputs = processor(images=color, input_boxes=[boxes.tolist()], return_tensors="pt")
    with torch.no_grad():
        out = model(**inputs, multimask_output=True)
    full = processor.image_processor.post_process_masks(
        out.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )[0]
    best = out.iou_scores[0].argmax(-1)
    masks = full[torch.arange(len(full)), best].numpy().astype(bool)
    return _inside(masks, boxes)


def load(name: str) -> tuple[Any, Any]:
    """Return model and processor of a name or folder, read once."""
    if name not in _loaded:
        try:
            from transformers import SamModel, SamProcessor
        except ImportError as error:
            raise BackendError(
                f"segmenter {name!r} needs transformers: pip install transformers ({error})"
            ) from error
        folder = Path(name).expanduser()
        source = str(folder) if folder.is_dir() else name
        try:
            pair = SamModel.from_pretrained(source), SamProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            line = str(error).strip().splitlines()[0]
            raise InputError(f"cannot load the segmenter {name!r}: {line}") from error
        pair[0].eval()
        _loaded[name] = pair
    return _loaded[name]


def _inside(masks: Mask, boxes: Floats) -> Mask:
    """Return masks cut to their boxes, made larger a little."""
    from drrobot_ros.scene.masks import grown

    out = np.zeros_like(masks)
    for mask, cut, box in zip(masks, out, boxes, strict=True):
        window = grown(box, 0.05, mask.shape)
        cut[window] = mask[window]
    return out
