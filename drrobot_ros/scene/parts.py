"""What the stages of a reconstruction leave to be judged and put together."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.scene.appearance import Appearance
from drrobot_ros.scene.config import ReconstructionConfig
from drrobot_ros.scene.ellipsoids import Ellipsoids
from drrobot_ros.scene.evidence import Evidence
from drrobot_ros.scene.types import Floats, Mask, Mesh, SceneInput, SupportPlane


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """What the stages left; meshes and ellipsoids are in the plane's frame."""

    given: SceneInput
    config: ReconstructionConfig
    depth_m: NDArray[np.float32]
    boxes: Floats
    names: tuple[str, ...]
    masks: Mask
    hidden: Mask
    plane: SupportPlane
    T_plane_camera: Floats
    evidence: Evidence
    first: Ellipsoids
    ellipsoids: Ellipsoids
    looks: Appearance
    meshes: list[Mesh]
    pieces: list[list[Mesh]]
    kinds: list[tuple[str, ...]]
    seconds: dict[str, float]
