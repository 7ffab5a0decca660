"""From a file of trained Gaussians back to the self-model and its networks."""

import json
from collections.abc import Mapping

import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.splats.deformation import AppearanceDeformation
from drrobot_ros.splats.skinning import ImplicitSkinning
from drrobot_ros.training.self_model import SelfModel


def self_model_of(gaussians: GaussianRobot) -> SelfModel:
    """Return the self-model that Gaussians came from.

    Args:
        gaussians: of ``GaussianRobot.load``; without modules the model is rigid.

    Raises:
        InputError: modules that are damaged or do not fit.
    """
    modules = gaussians.modules
    skinning = deformation = T = None
    if "skinning" in modules:
        skinning = ImplicitSkinning.from_state(*_parts("skinning", modules["skinning"]))
    if "deformation" in modules:
        deformation = AppearanceDeformation.from_state(
            *_parts("deformation", modules["deformation"])
        )
    if skinning is not None or deformation is not None:
        T = modules.get("canonical", {}).get("T")
        shape = (len(gaussians.link_names), 4, 4)
        if T is None or tuple(T.shape) != shape or not bool(torch.isfinite(T).all()):
            raise InputError(f"the file needs canonical poses {list(shape)} of the links")
    result = SelfModel(
        gaussians,
        T,
        skinning,
        deformation,
        use_sh=gaussians.sh is not None,
        use_light=gaussians.light is not None,
    )
    if skinning is not None:
        rest = modules.get("rest", {})
        with torch.no_grad():
            for name in ("means", "quats", "normals"):
                parameter = getattr(result, name)
                if name not in rest or rest[name].shape != parameter.shape:
                    raise InputError(f"the file lacks {name} {list(parameter.shape)} at rest")
                parameter.copy_(rest[name])
    return result.requires_grad_(False)


def _parts(name: str, stored: Mapping[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]]:
    tensors = dict(stored)
    try:
        config = json.loads(bytes(tensors.pop("config_json").to(torch.uint8).numpy()))
    except (KeyError, ValueError) as error:
        raise InputError(f"{name}: its settings are missing or damaged") from error
    if not isinstance(config, dict):
        raise InputError(f"{name}: its settings are damaged")
    return config, tensors
