"""One calibration, from the first image to the files: collecting keyframes, then solving."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.ros.camera_reader import Picture
from drrobot_ros.ros.library import CalibrationLibrary

#: A robot whose joints all stay within this does not move, rad or m.
STILL = 0.01


@dataclasses.dataclass(frozen=True)
class Request:
    """What a calibration is asked for.

    Attributes:
        keyframes: how many to collect.
        timeout_s: for collecting.
        still_timeout_s: without motion for this long from the start it fails.
        config: of the solver.
        choice: of the keyframes.
        joints: whose offsets are looked for; None: all.
        source: the robot's description, text or path; empty: none to correct.
        package_paths: where its meshes are looked up.
        make_folder: makes the folder for the files.
    """

    keyframes: int
    timeout_s: float
    still_timeout_s: float
    config: Any
    choice: Any
    joints: Sequence[str] | None
    source: str
    package_paths: Sequence[str]
    make_folder: Callable[[], Path]


@dataclasses.dataclass(frozen=True)
class News:
    """What is told while a calibration runs.

    Attributes:
        stage: collecting, solving or writing.
        text: for people.
        keyframes: kept so far.
        refused: images looked at and not kept.
        refusal: why the last image was not kept; empty where it was.
        residuals: of every image; NaN where not known yet.
        camera: whose picture it is.
        picture: returns the image uint8 [H, W, 3]; None: no new one.
    """

    stage: str
    text: str
    keyframes: int
    refused: int
    refusal: str = ""
    residuals: Sequence[float] = ()
    camera: str = ""
    picture: Callable[[], NDArray[np.uint8]] | None = None


@dataclasses.dataclass(frozen=True)
class Finished:
    """How a calibration ended.

    Attributes:
        result: of the solver; None where it did not come to that.
        files: what was written.
        message: for people.
    """

    result: Any
    files: tuple[Path, ...]
    message: str


class CalibrationRun:
    """Collects keyframes and solves; used from one thread, but for :meth:`cancel`.

    Args:
        library: selector, solver and writer.
        model: the robot.
        gaussians: its splats.
        cameras: names of the cameras.
        request: what is asked for.
        tell: called with the news; in the thread that uses the run.
    """

    def __init__(
        self,
        library: CalibrationLibrary,
        model: Any,
        gaussians: Any,
        cameras: Sequence[str],
        request: Request,
        tell: Callable[[News], None],
    ) -> None:
        self._library, self._model, self._gaussians = library, model, gaussians
        self._names, self._request, self._tell = tuple(cameras), request, tell
        self._begin_s = time.monotonic()
        self._cameras: dict[str, Any] = {}
        self._frames: dict[str, Any] = {}
        self._selector: Any = None
        self._refused, self._refusal = 0, "no image yet"
        self._lowest = self._highest = None
        self._cancelled = False

    def cancel(self) -> None:
        """Have it stop at the next occasion; from any thread."""
        self._cancelled = True

    @property
    def elapsed_s(self) -> float:
        """Time since it began."""
        return time.monotonic() - self._begin_s

    @property
    def keyframes(self) -> Sequence[Any]:
        """The moments kept so far."""
        return () if self._selector is None else self._selector.keyframes

    def knows(self, camera: str) -> bool:
        """Return whether it was said where a camera is."""
        return camera in self._cameras

    def place(self, camera: str, known: Any, frames: Any) -> None:
        """Say what is known of a camera beforehand: its start pose, and the names of its frames."""
        if self._selector is None:
            self._cameras[camera], self._frames[camera] = known, frames

    def offer(self, pictures: Sequence[Picture], observations: Sequence[Any]) -> None:
        """Take what the cameras saw at one moment; keep it where it adds information."""
        seen = [o for o in observations if o.camera_name in self._cameras]
        q = seen[0].joint_positions if seen else None
        if q is None or not np.isfinite(q).all():
            self.refuse("the positions of all joints at the time of the image are not known")
            return
        self._lowest = q if self._lowest is None else np.minimum(self._lowest, q)
        self._highest = q if self._highest is None else np.maximum(self._highest, q)
        missing = [n for n in self._names if n not in self._cameras]
        if self._selector is None:
            if missing and self.elapsed_s < 0.25 * self._request.timeout_s:
                self.refuse(f"waiting for an image of camera {', '.join(missing)}")
                return
            request = self._request
            self._selector = self._library.selector(
                self._model,
                self._gaussians,
                self._cameras,
                request.choice,
                offsets=request.config.estimate_offsets,
            )
        decision = self._selector.offer(seen)
        if not decision.accepted:
            self.refuse(str(decision.reason))
            return
        self._refusal = ""
        kept, wanted = len(self.keyframes), self._request.keyframes
        last = pictures[-1]
        self._collecting(f"kept keyframe {kept} of {wanted}", last.name, lambda: last.image)

    def refuse(self, reason: str) -> None:
        """Take note that a moment was not kept."""
        self._refused += 1
        self._refusal = reason
        self._collecting("move the arm")

    def is_collected(self) -> bool:
        """Return whether there are keyframes enough, or time is up and there are some.

        Raises:
            InputError: time is up, and there are too few; or the robot never moved.
        """
        kept, request = len(self.keyframes), self._request
        if kept >= request.keyframes:
            return True
        still = self._span() < STILL
        if still and self.elapsed_s > min(request.still_timeout_s, request.timeout_s):
            if self._lowest is None:
                raise InputError(
                    f"nothing to calibrate from in {self.elapsed_s:.0f} s: {self._refusal}"
                )
            raise InputError(
                f"the robot never moved: in {self.elapsed_s:.0f} s no joint position changed by "
                f"more than {self._span():.2g} rad or m; move the arm while it collects"
            )
        if self.elapsed_s < request.timeout_s:
            return False
        least = request.config.min_keyframes
        if kept < least:
            raise InputError(
                f"{kept} keyframes in {request.timeout_s:.0f} s, at least {least} are needed; the "
                f"last image was not kept because: {self._refusal or 'time was up'}"
            )
        return True

    def solve(self) -> Finished:
        """Solve, and write the files.

        Raises:
            InputError: the keyframes cannot be used, or the folder cannot be written.
            CalibrationCancelledError: it was cancelled.
        """
        request = self._request
        moments = list(self.keyframes)
        cameras = {n: c for n, c in self._cameras.items() if _has_camera(moments, n)}
        result = self._library.calibrate(
            self._model,
            self._gaussians,
            moments,
            cameras,
            request.config,
            joints=request.joints,
            progress=self._progress,
        )
        self._say("writing", "writing the files", result.residuals)
        written = self._library.write(
            result,
            self._model,
            self._gaussians,
            moments,
            request.make_folder(),
            frames={n: self._frames[n] for n in cameras},
            source=request.source,
            package_paths=request.package_paths,
        )
        left_out = [n for n in self._names if n not in cameras]
        words = [result.verdict.value, *result.reasons, *written.remarks]
        if left_out:
            words.append(f"left out, for they sent no usable image: {', '.join(left_out)}")
        # The only camera has no name.
        text = "; ".join(words).replace("camera ''", "the camera")
        return Finished(result, tuple(written.files), text)

    def _progress(self, progress: Any) -> bool:
        if self._cancelled:
            return False
        text = f"{progress.stage}, step {progress.step} of {progress.steps}"
        text += f": {progress.message}" if progress.message else ""
        residuals = np.asarray(progress.residuals, float)
        known = np.flatnonzero(np.isfinite(residuals))
        # The image that fits worst is the one worth looking at.
        worst = int(known[np.argmax(residuals[known])]) if len(known) else 0
        names = [o.camera_name for moment in self.keyframes for o in moment]
        picture = (lambda: progress.overlay(worst)) if len(known) else None
        self._say("solving", text, residuals, names[worst] if names else "", picture)
        return True

    def _span(self) -> float:
        if self._lowest is None or self._highest is None:
            return 0.0
        return float((self._highest - self._lowest).max())

    def _collecting(
        self, text: str, camera: str = "", picture: Callable[[], Any] | None = None
    ) -> None:
        self._say("collecting", text, (), camera, picture)

    def _say(
        self,
        stage: str,
        text: str,
        residuals: Sequence[float] | NDArray[np.float64] = (),
        camera: str = "",
        picture: Callable[[], Any] | None = None,
    ) -> None:
        kept = len(self.keyframes)
        refusal = self._refusal if stage == "collecting" else ""
        numbers = [float(r) for r in residuals]
        self._tell(News(stage, text, kept, self._refused, refusal, numbers, camera, picture))


def _has_camera(moments: Sequence[Sequence[Any]], name: str) -> bool:
    return any(o.camera_name == name for moment in moments for o in moment)


def moment_keys(moments: Sequence[Sequence[Any]]) -> list[tuple[float, str]]:
    """Return stamp (s) and camera of every image, in the order of residuals."""
    return [(o.stamp_s, o.camera_name) for moment in moments for o in moment]
