"""Settings of the reconstruction."""

import dataclasses

from drrobot_ros.configuration import setting, validate


@dataclasses.dataclass(frozen=True)
class ReconstructionConfig:
    """How a scene is reconstructed from one RGB-D image and boxes."""

    segmenter: str = setting(
        "", "folder or name of a SAM-class model of transformers; empty: depth and colour"
    )
    max_depth_m: float = setting(2.5, "what is farther is not looked at", unit="m", minimum=0.1)
    plane_threshold_m: float = setting(
        0.006, "points so near to the plane may be its own", unit="m", minimum=0.0005, maximum=0.1
    )
    axis_prior_m: float = setting(
        0.035, "median of the half axes before anything is seen", unit="m", minimum=0.001
    )
    axis_prior_spread: float = setting(
        0.6, "standard deviation of their logarithm", minimum=0.05, maximum=3.0
    )
    points: int = setting(400, "depth points per object that are fitted", minimum=50, maximum=5000)
    appearance: bool = setting(True, "refine layout, light and material by rendering")
    appearance_steps: int = setting(40, "of that refinement", minimum=1, maximum=1000)
    appearance_width_px: int = setting(
        160, "width of the images it renders", unit="px", minimum=32, maximum=4096
    )
    meshes: bool = setting(True, "go on from primitives to meshes")
    voxels: int = setting(36, "cells along an object's longest side", minimum=12, maximum=160)
    symmetry: bool = setting(True, "the hidden side mirrors the seen one where nothing says no")
    cage: bool = setting(True, "refine the meshes by a cage")
    cage_cells: int = setting(3, "cells of the cage along a side", minimum=1, maximum=12)
    cage_steps: int = setting(12, "of that refinement", minimum=1, maximum=200)
    density: float = setting(400.0, "assumed, for masses", unit="kg/m^3", minimum=1.0)
    friction: float = setting(0.8, "assumed, of objects", minimum=0.0, maximum=5.0)
    pieces: int = setting(12, "most convex pieces of an object", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        validate(self)
