"""How fast the CPU rasterizer is, beside the torch reference: ``make bench NAME=rasterize``.

Medians of wall time with gradients fed directly, no loss. Rows with one thread hardly depend on
what else the machine does; rows with two do.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from common import QUICK, Benchmark, Timing, measure
from raster_scene import Scene, cylinder_chain

from drrobot_ros.native.library import available_isas, set_num_threads
from drrobot_ros.rendering import rasterize

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

    TO BE FILLED with the tracker's inner loop: a robot with 7 joints and a free camera, covered
    with scene_size[0] splats, image scene_size[1:]. Returns (normal equations, forward pass) of the
    same robot; None, a row that is not ok, until then.
    """
    del scene_size
    return None


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
    cost = None if pair is None else round(pair[0].median_s / pair[1].median_s, 2)
    bench.add(f"normal equations of 13 parameters / forward, {label(MAIN)}", cost, "x", floor=3.0)

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
