"""Videos rendered once and played often, for demos and benchmarks that need the cores."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.simulation.robot import Frame, SimulatedRobot

_REQUIRED = ("rgb", "q", "T_base_camera", "K", "rate_hz")


@dataclasses.dataclass(frozen=True, eq=False)
class RenderedVideo:
    """Frames of a simulated robot at a constant rate, with the truth.

    Attributes:
        camera: intrinsics and size of the images.
        rate_hz: frames per second.
        rgb: [F, H, W, 3] uint8.
        q: [F, nq] true joint positions.
        T_base_camera: [F, 4, 4] true camera poses.
        depth_m: [F, H, W] float32 or None.
        mask: [F, H, W] bool or None.
    """

    camera: PinholeCamera
    rate_hz: float
    rgb: NDArray[np.uint8]
    q: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    depth_m: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rgb)

    @classmethod
    def record(
        cls,
        robot: SimulatedRobot,
        q: NDArray[np.floating],
        rate_hz: float,
        T_base_camera: NDArray[np.floating] | None = None,
        *,
        truth: bool = False,
    ) -> "RenderedVideo":
        """Render a motion.

        Args:
            robot: in its scene.
            q: [F, nq] joint positions.
            rate_hz: frames per second, for playing.
            T_base_camera: [F, 4, 4] camera poses; None: the camera stays.
            truth: also keep depth and masks.

        Raises:
            InputError: wrong shapes, or no frame at all.
        """
        q = np.asarray(q, dtype=np.float64)
        if q.ndim != 2 or len(q) == 0 or q.shape[1] != robot.model.nq:
            raise InputError(f"q must be [frames, {robot.model.nq}], got {list(q.shape)}")
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise InputError(f"rate_hz must be positive, got {rate_hz!r}")
        if T_base_camera is not None and len(T_base_camera) != len(q):
            raise InputError(f"{len(T_base_camera)} camera poses for {len(q)} frames")
        poses = [None] * len(q) if T_base_camera is None else list(T_base_camera)
        frames = [
            robot.render(row, T_base_camera=T, truth=truth) for row, T in zip(q, poses, strict=True)
        ]
        return cls(
            robot.camera,
            float(rate_hz),
            np.stack([f.rgb for f in frames]),
            q,
            np.stack([f.T_base_camera for f in frames]),
            np.stack([f.depth_m for f in frames if f.depth_m is not None]) if truth else None,
            np.stack([f.mask for f in frames if f.mask is not None]) if truth else None,
        )

    def frame(self, index: int) -> Frame:
        """Return one frame."""
        return Frame(
            self.rgb[index],
            None if self.depth_m is None else self.depth_m[index],
            None if self.mask is None else self.mask[index],
            self.q[index],
            self.T_base_camera[index],
        )

    def index_at(self, time_s: float, *, bounce: bool = True) -> int:
        """Return the frame to show at a time; the video runs there and back, or stops at its end.

        Args:
            time_s: since the start of playing.
            bounce: play it backwards after its end, and again, so that the motion never jumps.
        """
        step = max(0, int(time_s * self.rate_hz))
        last = len(self) - 1
        if not bounce or last == 0:
            return min(step, last)
        step %= 2 * last
        return min(step, 2 * last - step)

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(len(self)))

    def save(self, path: str | Path) -> None:
        """Write a ``.npz`` file; large, since images are stored as they are."""
        arrays = {
            "rgb": self.rgb,
            "q": self.q,
            "T_base_camera": self.T_base_camera,
            "K": self.camera.K,
            "rate_hz": np.array(self.rate_hz),
        }
        if self.depth_m is not None:
            arrays["depth_m"] = self.depth_m
        if self.mask is not None:
            arrays["mask"] = self.mask
        np.savez(Path(path), allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> "RenderedVideo":
        """Read what `save` wrote.

        Raises:
            InputError: it is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{str(path)!r} is not a rendered video: {error}") from error
        missing = [name for name in _REQUIRED if name not in arrays]
        if missing:
            raise InputError(f"{str(path)!r} lacks {', '.join(missing)}")
        height, width = arrays["rgb"].shape[1:3]
        return cls(
            PinholeCamera(arrays["K"], width, height),
            float(arrays["rate_hz"]),
            arrays["rgb"],
            arrays["q"],
            arrays["T_base_camera"],
            arrays.get("depth_m"),
            arrays.get("mask"),
        )
