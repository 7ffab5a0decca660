"""How fast the CPU rasterizer is, beside the torch reference: ``make bench NAME=rasterize``.

Medians of wall time with gradients fed directly, no loss. Rows with one thread hardly depend on
what else the machine does; rows with two do.
"""

import dataclasses
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark, Timing, measure
from raster_scene import Scene, cylinder_chain

from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.native.library import available_isas, set_num_threads
from drrobot_ros.rendering import rasterize
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

MAIN = (10000, 320, 240)
SIZES = [(n, *size) for size in ((160, 120), (320, 240), (640, 480)) for n in (2000, 10000, 20000)]


def render(scene: Scene, backend: str, gradient: torch.Tensor | None) -> None:
    """Render the scene forward and, with an image gradient, backward to all six inputs."""
    means, quats, scales, opacities, colors, viewmats = inputs = [
        t.detach().requires_grad_(gradient is not None) for t in scene[:6]
    ]
    size = scene.width, scene.height
    image, _, _ = rasterize(
        means, quats, scales, opacities, colors, viewmats, scene.Ks, *size, backend=backend
    )
    if gradient is not None:
        torch.autograd.grad(image, inputs, gradient)


def work(scene: Scene, backend: str = "cpu", backward: bool = True) -> Callable[[], Any]:
    """Return a function that renders the scene once."""
    shape = (scene.viewmats.shape[0], scene.height, scene.width, 3)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1)) if backward else None
    return lambda: render(scene, backend, gradient)


def normal_equations(scene_size: tuple[int, int, int]) -> tuple[Timing, Timing] | None:
    """Time the Gauss-Newton normal equations of 13 parameters, and a forward pass beside them.

    A Panda covered with scene_size[0] splats, image scene_size[1:]; colour and silhouette
    residuals in every pixel, against a slightly moved robot; 7 joints and the camera's twist. The
    forward pass is ``rasterize`` of the same splats and camera. Both with their Python wrappers, on
    one thread.
    Returns (normal equations, forward pass); None without the robot's files.
    """
    root = Path(os.environ.get("DRROBOT_MENAGERIE", ROOT.parent / "shared" / "data" / "menagerie"))
    if not (root / "franka_emika_panda").is_dir():
        return None
    count, width, height = scene_size
    model = RobotModel.load(root / "franka_emika_panda" / "panda.xml")
    gaussians = GaussianRobot.from_model(model, count=count, seed=0)
    camera = PinholeCamera.from_fov(width, height, math.radians(42.0))
    T = look_at((1.6, 0.8, 0.9), (0.2, 0.0, 0.4))
    q = np.zeros(model.nq)
    q[:7] = 0.3, 0.2, -0.2, -1.8, 0.1, 2.0, 0.5
    free = np.arange(model.nv) < 7
    columns = ParameterColumns.make(model.nv, free, camera=True)
    image_model = ImageModel(model.tree, gaussians, model.nq, model.nv)
    bare = ImageTarget(camera.K, width, height)
    seen = image_model.images(q + 0.02 * np.cos(np.arange(model.nq)), T, bare)
    behind = np.full((height, width, 3), 0.5, np.float32)
    target = dataclasses.replace(
        bare,
        color=seen.rgb + (1 - seen.alpha[..., None]) * behind,
        background=behind,
        mask=seen.alpha,
    )
    means, quats = gaussians.pose(model.forward_kinematics(torch.from_numpy(q)).float())
    viewmats = torch.from_numpy(np.linalg.inv(T)).float()[None]
    Ks = torch.from_numpy(np.array(camera.K)).float()[None]

    def forward() -> None:
        g = gaussians
        splats = means, quats, g.scales, g.opacities, g.colors
        with torch.no_grad():
            rasterize(
                *splats, viewmats, Ks, width, height, rasterize_mode="antialiased", backend="cpu"
            )

    set_num_threads(1)
    return (
        measure(lambda: image_model.evaluate(q, T, target, columns), seconds=1.0),
        measure(forward, seconds=1.0),
    )


def label(size: tuple[int, int, int]) -> str:
    """Return e.g. ``10k 320x240``."""
    return f"{size[0] // 1000}k {size[1]}x{size[2]}"


def main() -> int:
    """Measure; return the exit status."""
    threads = min(2, len(os.sched_getaffinity(0)))
    torch.set_num_threads(1)
    bench = Benchmark(
        "rasterize", threads=threads, isa=available_isas()[-1], torch=torch.__version__
    )
    seconds = 1.0 if QUICK else 3.0

    scene = cylinder_chain(*MAIN)
    set_num_threads(threads)
    fast = measure(work(scene), seconds=seconds)
    name = f"cpu forward + backward, {label(MAIN)}, {threads} threads"
    bench.add_timing(name, fast, floor_ms=8.0)
    # torch's own threads help on an idle machine and cost a lot on a busy one: the better counts.
    slow_s = float("inf")
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        slow = measure(work(scene, "torch"), seconds=seconds, warm_up=1, min_runs=3)
        bench.add_timing(f"torch reference, the same, {count} threads", slow)
        slow_s = min(slow_s, slow.median_s)
    torch.set_num_threads(1)
    ratio = slow_s / fast.median_s
    bench.add("torch reference / cpu", round(ratio, 1), "x", floor=100.0, better="higher")

    pair = normal_equations(MAIN)
    cost = None
    if pair is not None:
        bench.add_timing(
            f"normal equations of 13 parameters, Panda, {label(MAIN)}, 1 thread", pair[0]
        )
        bench.add_timing("forward of the same splats, 1 thread", pair[1])
        # CPU time: on a busy machine most runs of 2 ms lose a slice of 4 ms, those of 1 ms do not.
        cost = round(pair[0].cpu_median_s / pair[1].cpu_median_s, 2)
        wall = round(pair[0].median_s / pair[1].median_s, 2)
        bench.add("the same two, ratio of wall times", wall, "x")
    name = f"normal equations of 13 parameters / forward, CPU time, {label(MAIN)}"
    bench.add(name, cost, "x", floor=3.0)

    for size in [MAIN] if QUICK else SIZES:
        scene = cylinder_chain(*size)
        for count in range(1, threads + 1):
            set_num_threads(count)
            for backward in (False, True):
                what = "forward + backward" if backward else "forward"
                timing = measure(work(scene, backward=backward), seconds=seconds / 6)
                bench.add_timing(f"cpu {what}, {label(size)}, {count} threads", timing)
    set_num_threads(1)
    scene = cylinder_chain(*MAIN)
    for isa in available_isas():
        os.environ["DRROBOT_NATIVE_ISA"] = isa
        set_num_threads(1)
        timing = measure(work(scene), seconds=seconds / 6)
        bench.add_timing(f"cpu forward + backward, {label(MAIN)}, 1 threads, {isa}", timing)
    os.environ.pop("DRROBOT_NATIVE_ISA")
    four = cylinder_chain(*MAIN, cameras=4)
    bench.add_timing(
        f"cpu forward + backward, {label(MAIN)}, 4 cameras, 1 threads", measure(work(four))
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
