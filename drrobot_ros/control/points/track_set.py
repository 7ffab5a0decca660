"""Tracks of points on the images of one camera, and their files."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

#: What a file of tracks holds, for messages and documentation.
KEYS = {
    "tracks": "[T, P, 2] px, x right, y down, pixel centres at +0.5; NaN where not seen",
    "visible": "[T, P] bool; optional: where tracks are numbers",
    "image_size": "[2] width, height, px",
    "times_s": "[T] increasing, s; optional",
}


def known(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points [...,2] are numbers [...]."""
    return np.asarray(np.isfinite(points).all(axis=-1))


@dataclasses.dataclass(frozen=True, eq=False)
class TrackSet:
    """Points followed through images.

    Attributes:
        tracks: [T,P,2] px, pixel centres at +0.5; NaN where a point is not seen.
        image_size: (width, height) px of the images.
        times_s: [T] of the images, increasing; None: not known.
        visible: [T,P] where a point is seen; made from the numbers if None. A point that is not
            visible is NaN.

    Raises:
        InputError: sizes that do not fit, infinite numbers, times that do not increase, or an image
            without a visible point.
    """

    tracks: NDArray[np.float64]
    image_size: tuple[int, int]
    times_s: NDArray[np.float64] | None = None
    visible: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        tracks = np.array(self.tracks, np.float64)
        if tracks.ndim != 3 or tracks.shape[2] != 2 or 0 in tracks.shape:
            raise InputError(f"tracks must be [T, P, 2], got {list(tracks.shape)}")
        if np.isinf(tracks).any():
            raise InputError("tracks must not be infinite; NaN marks a point that is not seen")
        seen = known(tracks)
        if self.visible is not None:
            visible = np.asarray(self.visible)
            if visible.shape != seen.shape:
                raise InputError(
                    f"visible must be {list(seen.shape)} like the tracks, got {list(visible.shape)}"
                )
            seen &= visible.astype(bool)
        tracks[~seen] = np.nan
        empty = np.flatnonzero(seen.sum(1) == 0)
        if len(empty):
            raise InputError(f"image {empty[0]} of {len(tracks)} has no visible point")
        size = np.asarray(self.image_size)
        if size.shape != (2,) or not (np.isfinite(size).all() and (size >= 1).all()):
            raise InputError(f"image_size must be width and height in px, got {self.image_size}")
        if self.times_s is not None:
            times = np.asarray(self.times_s, np.float64)
            if times.shape != (len(tracks),):
                raise InputError(f"times_s must be [{len(tracks)}], got {list(times.shape)}")
            back = np.flatnonzero(~(np.diff(times) > 0))
            if len(back) or not np.isfinite(times).all():
                where = f"; image {back[0] + 1} does not follow" if len(back) else ""
                raise InputError(f"times_s must be finite and increase{where}")
            object.__setattr__(self, "times_s", times)
        object.__setattr__(self, "tracks", tracks)
        object.__setattr__(self, "visible", seen)
        object.__setattr__(self, "image_size", (int(size[0]), int(size[1])))

    @property
    def steps(self) -> int:
        """Number of images."""
        return len(self.tracks)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where points are visible [T,P]."""
        assert self.visible is not None
        return self.visible

    def times(self, rate_hz: float) -> NDArray[np.float64]:
        """Return the times from 0 [T], at a rate where the set has none of its own."""
        if self.times_s is None:
            return np.arange(self.steps) / rate_hz
        return self.times_s - self.times_s[0]

    def only(self, points: NDArray[Any]) -> "TrackSet":
        """Return some of the points, by index or mask."""
        return TrackSet(self.tracks[:, points], self.image_size, self.times_s)

    def save(self, path: str | Path) -> None:
        """Write an .npz file with the keys of `KEYS`."""
        arrays: dict[str, Any] = {
            "tracks": self.tracks.astype(np.float32),
            "visible": self.seen,
            "image_size": np.array(self.image_size),
        }
        if self.times_s is not None:
            arrays["times_s"] = self.times_s
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> "TrackSet":
        """Read an .npz file.

        Raises:
            InputError: it cannot be read, lacks a key, or holds what does not fit.
        """
        path = Path(path).expanduser()
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"cannot read tracks from {path}: {error}") from error
        missing = [key for key in ("tracks", "image_size") if key not in data]
        if missing:
            told = "; ".join(f"{key}: {what}" for key, what in KEYS.items())
            raise InputError(f"{path} lacks {', '.join(missing)}; it must hold {told}")
        try:
            return cls(
                np.asarray(data["tracks"], np.float64),
                tuple(np.asarray(data["image_size"]).tolist()),
                data.get("times_s"),
                data.get("visible"),
            )
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
