"""Meshes of all shapes are closed manifolds that explain their masks, insides of vessels too."""

import dataclasses

import pytest
import trimesh
from scene_tables import QUICK, table

from drrobot_ros.scene import reconstruct
from drrobot_ros.simulation.shapes import SHAPES

PLAIN = dataclasses.replace(QUICK, appearance=False, cage=False, points=100, voxels=16)


@pytest.mark.parametrize("kind", list(SHAPES))
def test_mesh_is_a_closed_manifold(kind):
    given, _, _ = table((kind,), seed=2)
    item = reconstruct(given, PLAIN).objects[0]
    mesh = trimesh.Trimesh(item.mesh.vertices, item.mesh.faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    assert item.confidence > 0.8, item.warnings
