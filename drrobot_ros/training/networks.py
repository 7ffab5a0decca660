"""Giving a self-model the networks its settings ask for."""

from typing import Any

import numpy as np
import torch

from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.self_model import SelfModel

_CLOUDS = 12
_CLOUD_POINTS = 4000


def add_networks(
    plain: SelfModel,
    start: GaussianRobot,
    model: Any,
    dataset: RobotDataset,
    config: TrainConfig,
) -> SelfModel:
    """Return the model with skinning fitted to point clouds, and an inactive deformation."""
    from drrobot_ros.splats.deformation import AppearanceDeformation
    from drrobot_ros.splats.skinning import ImplicitSkinning
    from drrobot_ros.training.skinning_stage import fit_skinning

    torch.manual_seed(config.seed)
    skinning = deformation = None
    with torch.no_grad():
        points = plain.canonical_means().clone()
    if config.skinning == "implicit":
        skinning = ImplicitSkinning.of(model, points)
        poses = np.flatnonzero(dataset.split == 0)[1 : 1 + _CLOUDS]
        now = torch.from_numpy(dataset.T_base_link[poses])
        motions = now @ torch.linalg.inv(plain.T_canonical)
        every = max(1, len(dataset.surface_points) // _CLOUD_POINTS)
        clouds = [dataset.point_cloud(int(p))[::every] for p in poses]
        fit_skinning(skinning, points, motions, clouds, seed=config.seed)
    if config.deformation:
        deformation = AppearanceDeformation.of(model, points)
    result = SelfModel(
        start, plain.T_canonical, skinning, deformation, use_sh=config.sh, use_light=config.light
    )
    result.zero_grad(set_to_none=True)  # the fit leaves gradients, which a resumed run must not see
    return result
