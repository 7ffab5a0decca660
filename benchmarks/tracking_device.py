"""The tracker's inner loop in C++ and in torch, on the CPU and on CUDA; and its share of an image.

One evaluation renders a Panda, derives it in 7 joints and the camera's twist, and sums the normal
equations of part and silhouette residuals. Every run has the C++ loop on one thread and the torch
loop on the CPU (the same code as on CUDA, there only to check it); where there is a GPU also the
torch loop there, kernel by kernel and as one CUDA graph. The shares are of the CPU time of a
tracker's images on a video: what a GPU could take over, and what would stay.

    python benchmarks/tracking_device.py
"""

import dataclasses
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import QUICK, Benchmark, measure
from tracking import EASY
from tracking_runs import Start, follow
from tracking_scenes import VIDEOS, arms, video

from drrobot_ros.estimation import Tracker, TrackerConfig
from drrobot_ros.estimation.device.image_model import DeviceImageModel
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.native.library import set_num_threads
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

MAIN = (8000, 320, 240)
LARGER = [(30000, 640, 480), (100000, 1280, 960)]
T_CAMERA = look_at((1.6, 0.8, 0.9), (0.2, 0.0, 0.4))
Work = Callable[[], Any]


def evaluations(model: RobotModel, q: np.ndarray, size: tuple[int, int, int]) -> dict[str, Work]:
    """Return one evaluation of each kind that this machine can do, by label."""
    count, width, height = size
    gaussians = GaussianRobot.from_model(model, count=count, seed=0)
    camera = PinholeCamera.from_fov(width, height, math.radians(42.0))
    columns = ParameterColumns.make(model.nv, np.arange(model.nv) < 7, camera=True)
    arguments = (model.tree, gaussians, model.nq, model.nv)
    models = {"C++, 1 thread": ImageModel(*arguments)}
    bare = ImageTarget(camera.K, width, height, inset_px=0.6)
    seen = models["C++, 1 thread"].images(q + 0.02 * np.cos(np.arange(model.nq)), T_CAMERA, bare)
    target = dataclasses.replace(
        bare, color=seen.rgb, background=np.zeros_like(seen.rgb), mask=seen.alpha
    )
    models["torch, CPU, 1 thread"] = DeviceImageModel(*arguments, device=torch.device("cpu"))
    if torch.cuda.is_available():
        for label, record in (("kernel by kernel", False), ("one graph", True)):
            models[f"torch, CUDA, {label}"] = DeviceImageModel(
                *arguments, device=torch.device("cuda"), record=record
            )

    def work(m: ImageModel) -> Work:
        return lambda: m.evaluate(q, T_CAMERA, target, columns)

    return {label: work(m) for label, m in models.items()}


def add_evaluations(bench: Benchmark, model: RobotModel, q: np.ndarray) -> None:
    """Rows of one evaluation, at several sizes."""
    for size in [MAIN] if QUICK else [MAIN, *LARGER]:
        for label, work in evaluations(model, q, size).items():
            timing = measure(work, seconds=1.0, warm_up=2, min_runs=3)
            name = f"{label}, {size[0] // 1000}k {size[1]}x{size[2]}"
            # CPU time says what one costs beside others; a GPU's work is in the wall time only.
            bench.add_timing(name, timing)
        if not torch.cuda.is_available():
            bench.add(f"torch, CUDA, {size[0] // 1000}k {size[1]}x{size[2]}", None, "ms")


class Stopwatch:
    """CPU time spent inside methods of `ImageModel`, all threads."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.seconds = dict.fromkeys(names, 0.0)
        self.calls = dict.fromkeys(names, 0)
        self._names = names
        self._methods = {name: getattr(ImageModel, name) for name in names}

    def __enter__(self) -> "Stopwatch":
        for name in self._names:
            setattr(ImageModel, name, self._timed(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, method in self._methods.items():
            setattr(ImageModel, name, method)

    def _timed(self, name: str) -> Callable[..., Any]:
        method = self._methods[name]

        def call(*arguments: Any, **options: Any) -> Any:
            started = time.process_time()
            try:
                return method(*arguments, **options)
            finally:
                self.seconds[name] += time.process_time() - started
                self.calls[name] += 1

        return call


def add_shares(bench: Benchmark, name: str, model: RobotModel, center: np.ndarray) -> None:
    """Rows of what an image costs the tracker, by what spends it."""
    gaussians = GaussianRobot.from_model(model, MAIN[0])
    clip = video(name, model, center, EASY, VIDEOS[0][1])
    for label, free in (("known camera", False), ("free camera", True)):
        config = TrackerConfig(estimate_camera=free, budget_ms=0.0, recovery="off")
        with Stopwatch(("evaluate", "images", "region_scores")) as spent:
            run = follow(Tracker(model, gaussians, config), clip, Start(), 0)
        total, images = float(run.cpu_s.sum()), len(run.cpu_s)
        shares = {k: round(s / total, 3) for k, s in spent.seconds.items()}
        bench.add(
            f"share of evaluations, {label}",
            shares.pop("evaluate"),
            "of 1",
            cpu_ms_per_image=round(1e3 * total / images, 2),
            evaluations_per_image=round(spent.calls["evaluate"] / images, 1),
            images_per_image=round(spent.calls["images"] / images, 1),
            shares=shares,
        )


def main() -> int:
    """Measure; return the exit status."""
    torch.set_num_threads(1)
    set_num_threads(1)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    bench = Benchmark("tracking_device", torch=torch.__version__, gpu=gpu)
    found = arms()
    if not found:
        print("no robot at hand: nothing to measure")
        return bench.finish()
    name = "Panda" if "Panda" in found else next(iter(found))
    model, center = found[name]
    add_evaluations(bench, model, center)
    add_shares(bench, name, model, center)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
