"""Points followed through a video by CoTracker, from a folder with its code and weights.

Source: Karaev et al., "CoTracker3: Simpler and better point tracking by pseudo-labelling real
videos", 2024. Neither code nor weights come with this package.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.points.images import check_images
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.errors import BackendError, InputError

Image = NDArray[np.uint8]

WEIGHTS = ("scaled_offline.pth", "cotracker3.pth", "cotracker2.pth")
HOW = (
    "CoTracker needs a folder with its code and weights: "
    "git clone https://github.com/facebookresearch/co-tracker FOLDER, then download "
    "https://huggingface.co/facebook/cotracker3/resolve/main/scaled_offline.pth into FOLDER. "
    "Mind their licence (CC BY-NC 4.0). Without them use the Lucas-Kanade tracker."
)


class CoTracker:
    """Follows points with CoTracker's offline model.

    Args:
        folder: holds the package ``cotracker`` (unless it is installed) and one of `WEIGHTS`.
        device: of PyTorch.

    Raises:
        BackendError: code or weights are missing, or cannot be loaded; says what to download.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        folder = Path(folder).expanduser()
        weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            raise BackendError(f"no weights in {folder} ({', '.join(WEIGHTS)}). {HOW}")
        added = (folder / "cotracker").is_dir() and str(folder) not in sys.path
        if added:
            sys.path.insert(0, str(folder))
        try:
            predictor = importlib.import_module("cotracker.predictor")
            model = predictor.CoTrackerPredictor(checkpoint=str(weights))
        except ImportError as error:
            raise BackendError(f"no CoTracker code: {error}. {HOW}") from error
        except Exception as error:  # a damaged file, another version's weights
            raise BackendError(f"CoTracker cannot load {weights}: {error}. {HOW}") from error
        finally:
            if added:
                sys.path.remove(str(folder))
        self._device = device
        self._model: Any = model.to(device)

    def track_points(
        self,
        images: Sequence[Image],
        points: NDArray[np.float64] | None = None,
        grid: int = 20,
        times_s: NDArray[np.float64] | None = None,
        region: NDArray[np.bool_] | None = None,
    ) -> TrackSet:
        """Follow points through a video.

        Args:
            images: [H,W,3] uint8 each.
            points: in the first image [P,2] px; None: a grid over the region.
            grid: points along the longer edge of the image.
            times_s: of the images [T], kept with the tracks.
            region: where grid points are chosen [H,W]; None: everywhere.

        Raises:
            InputError: images or points that do not fit, or no point in the region.
        """
        import torch

        check_images(images)
        height, width = images[0].shape[:2]
        if points is None:
            points = _grid(width, height, grid, region)
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise InputError(f"points must be [P, 2] with P > 0, got {list(points.shape)}")
        video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[None].float()
        queries = np.concatenate([np.zeros((len(points), 1)), points - 0.5], 1)
        with torch.no_grad():
            tracks, visible = self._model(
                video.to(self._device),
                queries=torch.from_numpy(queries).float()[None].to(self._device),
            )
        return TrackSet(
            tracks[0].cpu().numpy().astype(np.float64) + 0.5,
            (width, height),
            times_s,
            visible[0].cpu().numpy() > 0.5,
        )


def _grid(
    width: int, height: int, count: int, region: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    if region is not None and np.shape(region) != (height, width):
        raise InputError(f"region is {list(np.shape(region))}, the images {[height, width]}")
    step = max(width, height) / count
    x, y = np.meshgrid(np.arange(step / 2, width, step), np.arange(step / 2, height, step))
    points = np.stack([x.ravel(), y.ravel()], 1)
    if region is not None:
        at = points.astype(int)
        points = points[np.asarray(region, bool)[at[:, 1], at[:, 0]]]
    if not len(points):
        raise InputError("no grid point lies in the region")
    return points
