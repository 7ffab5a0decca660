"""Cost of a step with a CLIP of full size: ViT-B/32, of random weights, which cost as real ones."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.objectives.text import TextSimilarity
from drrobot_ros.control.text.captions import pose_names
from drrobot_ros.control.text.encoder import TextImageEncoder, load_encoder
from drrobot_ros.control.text.hub import TransformersEncoder
from drrobot_ros.control.text.views import Stage
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

VIEWS = 3


def full_size() -> TextImageEncoder | None:
    """Return a ViT-B/32 with random weights; None without transformers."""
    try:
        from transformers import CLIPConfig, CLIPModel
    except ImportError:
        return None

    def tokens(texts: list[str], **_: Any) -> dict[str, torch.Tensor]:
        ids = torch.tensor([[49406, 320, 3463, 49407]]).repeat(len(texts), 1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    torch.manual_seed(0)
    return TransformersEncoder("ViT-B/32, random", CLIPModel(CLIPConfig()), tokens)


def step_of(encoder: TextImageEncoder, size: int) -> Callable[[], float]:
    """Return a function that takes the gradient of a text objective to the joints of a robot.

    It returns the CPU seconds.
    """
    model = RobotModel.load(ROOT / "models" / "six_axis_arm" / "six_axis_arm.urdf")
    gaussians = GaussianRobot.from_model(model, count=3000)
    views = Stage.of(model, pose_names(model)).fan(VIEWS, size)
    goal = TextSimilarity(encoder, "reaching left", crops=0)

    def step() -> float:
        began = time.process_time()
        q = model.home()[None].clone().requires_grad_()
        goal(Candidate(model, gaussians, q, views)).sum().backward()
        if q.grad is None or not torch.isfinite(q.grad).all() or not q.grad.any():
            raise RuntimeError("no gradient reached the joints")
        return time.process_time() - began

    return step


def add_cost_rows(bench: Benchmark) -> None:
    """Add the cost of a step (pictures of three views, forward and backward) of either model."""
    small = step_of(load_encoder(), 96)
    times = [small() for _ in range(5 if QUICK else 20)]
    bench.add("text: a step of three views, small model", 1e3 * float(np.median(times)), "CPU ms")
    encoder = full_size()
    value = None
    if encoder is not None:
        full = step_of(encoder, 224)
        value = 1e3 * float(np.median([full() for _ in range(3 if QUICK else 6)]))
    bench.add(
        "text: a step of three views, full ViT-B/32 (random weights)",
        value,
        "CPU ms",
        memory_mb=_resident_mb(),
    )


def _resident_mb() -> int | None:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    except OSError:
        return None
