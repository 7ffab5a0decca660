"""The numbers of a robot as tensors: what dynamics computes with, fixed or learned."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.robot.tree import KinematicTree


@dataclasses.dataclass(frozen=True, eq=False)
class ModelValues:
    """The parameters of all L rows of a tree, of one dtype on one device; any may have gradients.

    Attributes:
        T_parent_joint: [L, 4, 4], as in `KinematicTree`.
        T_joint_link: [L, 4, 4].
        multiplier: [L] of coupled joints.
        offset: [L] joint offsets, rad or m.
        mass: [L] kg.
        com: [L, 3] link coordinates, m.
        inertia: [L, 3, 3] about the centre of mass, link axes, kg m^2.
        armature: [L] kg m^2 or kg.
        damping: [L] N m s/rad or N s/m.
        friction: [L] Coulomb friction, N m or N.
        sensor_gain: [L] what a torque sensor at the joint shows, divided by the true torque.
    """

    T_parent_joint: Tensor
    T_joint_link: Tensor
    multiplier: Tensor
    offset: Tensor
    mass: Tensor
    com: Tensor
    inertia: Tensor
    armature: Tensor
    damping: Tensor
    friction: Tensor
    sensor_gain: Tensor

    @classmethod
    def of(cls, tree: KinematicTree, dtype: torch.dtype, device: torch.device) -> "ModelValues":
        """Return the values of a tree, without gradients."""

        def real(array: np.ndarray) -> Tensor:
            return torch.tensor(array, dtype=dtype, device=device)

        return cls(
            T_parent_joint=real(tree.T_parent_joint),
            T_joint_link=real(tree.T_joint_link),
            multiplier=real(tree.mimic_multiplier),
            offset=real(tree.mimic_offset),
            mass=real(tree.mass),
            com=real(tree.com),
            inertia=real(tree.inertia),
            armature=real(tree.armature),
            damping=real(tree.damping),
            friction=real(tree.frictionloss),
            sensor_gain=torch.ones(len(tree), dtype=dtype, device=device),
        )

    def to(self, dtype: torch.dtype, device: torch.device) -> "ModelValues":
        """Return the values as another dtype or on another device; gradients pass through."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return ModelValues(**{name: x.to(device, dtype) for name, x in fields.items()})

    def to_tree(self, tree: KinematicTree) -> KinematicTree:
        """Return `tree` with these numbers, without gradients."""

        def array(x: Tensor) -> np.ndarray:
            return x.detach().to("cpu", torch.float64).numpy().copy()

        return dataclasses.replace(
            tree,
            T_parent_joint=array(self.T_parent_joint),
            T_joint_link=array(self.T_joint_link),
            mimic_multiplier=array(self.multiplier),
            mimic_offset=array(self.offset),
            mass=array(self.mass),
            com=array(self.com),
            inertia=array(self.inertia),
            armature=array(self.armature),
            damping=array(self.damping),
            frictionloss=array(self.friction),
        )
