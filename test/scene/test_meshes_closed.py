"""Meshes of all shapes are closed manifolds that explain their masks, insides of vessels too."""

import dataclasses

import pytest
import trimesh
from scene_tables import QUICK, table

from drrobot_ros.scene import reconstruct
from drrobot_ros.simulation.shapes import SHAPES

PLAIN = dataclasses.replace(QUICK, appearance=False, cage=False, points=100, voxels=20)
GROUPS = (("box", "L-shape", "cup"), ("capsule", "wedge", "mug"),
          ("bottle", "T-shape", "cylinder"), ("ellipsoid",))  # fmt: skip


@pytest.mark.parametrize("kinds", GROUPS, ids="+".join)
def test_meshes_are_closed_manifolds(kinds):
    places = dict(zip(kinds, [(-0.14, 0.0), (0.0, 0.0), (0.14, 0.0)], strict=False))
    given, _, _ = table(kinds, seed=2, places=places)
    for item in reconstruct(given, PLAIN).objects:
        mesh = trimesh.Trimesh(item.mesh.vertices, item.mesh.faces, process=False)
        assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0, item.name
        assert item.confidence > 0.8, (item.name, item.warnings)


def test_no_shape_is_forgotten():
    assert sorted(kind for kinds in GROUPS for kind in kinds) == sorted(SHAPES)
