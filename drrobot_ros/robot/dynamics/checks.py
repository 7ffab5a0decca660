"""Inertial numbers that cannot be right, found before they spoil a result."""

import warnings

import numpy as np

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.tree import JointType, KinematicTree

_RELATIVE = 1e-6  # of the largest moment: what rounding in a file may break


def inertia_faults(tree: KinematicTree) -> tuple[list[str], list[str]]:
    """Return what makes dynamics wrong, and what is not physical but can be computed with.

    Errors: negative mass, an inertia with a negative principal moment. Warnings: principal moments
    that break the triangle inequality, inertia without mass.
    """
    errors, warns = [], []
    for i, name in enumerate(tree.link_names):
        mass, inertia = tree.mass[i], tree.inertia[i]
        if mass < 0:
            errors.append(f"link {name!r}: mass {mass:g} kg is negative")
        moments = np.linalg.eigvalsh((inertia + inertia.T) / 2)
        slack = _RELATIVE * max(abs(moments).max(), 1e-12)
        listing = ", ".join(f"{m:.4g}" for m in moments)
        if moments[0] < -slack:
            errors.append(f"link {name!r}: principal moments ({listing}) kg m^2, one negative")
        elif moments[2] > moments[0] + moments[1] + slack:
            warns.append(
                f"link {name!r}: principal moments ({listing}) kg m^2 break the triangle inequality"
            )
        if mass == 0 and moments[2] > 0:
            warns.append(f"link {name!r}: inertia but no mass")
    return errors, warns


def check_inertias(tree: KinematicTree) -> None:
    """Raise for a tree whose dynamics would be wrong; warn of one that is not physical.

    Raises:
        ModelError: names every link with a negative mass or principal moment.
    """
    errors, warns = inertia_faults(tree)
    if errors:
        raise ModelError("no dynamics with these inertias: " + "; ".join(errors))
    if warns:
        warnings.warn("inertias that no body can have: " + "; ".join(warns), stacklevel=4)


def check_movable(tree: KinematicTree, armature: np.ndarray, mass: np.ndarray) -> None:
    """Raise if a joint moves nothing, so that no force gives it a finite acceleration.

    Raises:
        ModelError: names every link whose joint moves neither mass nor armature.
    """
    carries = (mass > 0) | (np.abs(tree.inertia).sum((1, 2)) > 0)
    for i in range(len(tree) - 1, 0, -1):
        carries[tree.parent[i]] |= carries[i]
    faults = [
        tree.link_names[i]
        for i in range(len(tree))
        if tree.joint_type[i] != JointType.FIXED and not carries[i] and armature[i] == 0
    ]
    if faults:
        raise ModelError(
            "no forward dynamics: nothing with mass, and no armature, moves with the joint of link "
            + ", ".join(repr(name) for name in faults)
            + "; give it a mass, an armature, or make the joint fixed"
        )
