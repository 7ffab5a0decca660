"""A calibration as plain numbers and words: calibration.yaml, and the table for people."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drrobot_ros.estimation.calibration.files.transforms import CameraFrames, transform_entry
from drrobot_ros.estimation.calibration.files.views import View
from drrobot_ros.robot.tree import JointType

FORMAT = "drrobot_calibration/1"


def document_of(
    result: Any, model: Any, cameras: Mapping[str, CameraFrames], views: Sequence[View]
) -> dict[str, Any]:
    """Return all that a result says, ready for yaml; angles in rad, lengths in m, times in s."""
    v = {name: model.joint_v_index(name) for name in model.joint_names}
    moved = result.joint_names
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "robot": model.name,
        "base_frame": model.base_link,
        "verdict": result.verdict.value,
        "reasons": list(result.reasons),
        "unobservable": list(result.unobservable),
        "cameras": {
            label_of(name): _camera(result.cameras[name], cameras[name], views, name)
            for name in cameras
        },
        "joint_offsets": offsets_of(result, model),
        "joint_offsets_stddev": {n: float(result.offset_std[v[n]]) for n in moved},
        "offsets_at_limit": list(result.at_limit),
        "keyframes": [_keyframe(view, model) for view in views],
        "solver": {
            "stop_reason": result.stop_reason.value,
            "iterations": int(result.iterations),
            "solve_time_s": round(float(result.solve_time_s), 3),
        },
    }


def label_of(camera: str) -> str:
    """Return what a camera is called in files: an only one may have no name."""
    return camera or "camera"


def offsets_of(result: Any, model: Any) -> dict[str, float]:
    """Return the joint offsets alone, by joint, rad or m: true position = reading + offset.

    A flat mapping, as robot_calibration writes and reads it.
    """
    v = {name: model.joint_v_index(name) for name in model.joint_names}
    return {name: float(result.offsets[v[name]]) for name in result.joint_names}


def _camera(found: Any, frames: CameraFrames, views: Sequence[View], name: str) -> dict[str, Any]:
    transforms = [transform_entry(frames.parent, frames.names.optical, frames.T_parent_optical)]
    body = frames.T_parent_body
    if body is not None:
        transforms.append(transform_entry(frames.parent, frames.names.body, body))
    entry: dict[str, Any] = {"mounted_on": frames.parent, "transforms": transforms}
    entry["stddev"] = {"position_m": float(found.std_m), "rotation_rad": float(found.std_rad)}
    # Of a twist (v, w) in the optical frame: T_true = T exp(twist).
    entry["covariance"] = [[float(x) for x in row] for row in found.covariance]
    entry["time_offset_s"] = float(found.lag_s)
    entry["time_offset_stddev_s"] = float(found.lag_std_s)
    for view in views:
        if view.result.camera == name:
            camera = view.observation.camera
            size = {"image_width": camera.width, "image_height": camera.height}
            K = camera.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
            entry["intrinsics"] = {**size, "camera_matrix": [float(k) for k in K.ravel()]}
            break
    return entry


def _keyframe(view: View, model: Any) -> dict[str, Any]:
    k = view.result
    readings = view.observation.joint_positions
    entry = {
        "name": view.name,
        "camera": label_of(k.camera),
        "stamp_s": float(k.stamp_s),
        "residual": float(k.residual),
        "residual_before": float(k.residual_before),
        "agreement": float(k.agreement),
        "weight": float(k.weight),
        "used": not k.rejected,
        "reason": k.reason,
    }
    if readings is not None:
        q = {n: float(readings[model.joint_q_index(n)]) for n in model.joint_names}
        entry["joint_positions"] = q
    return entry


def table_of(
    result: Any, model: Any, cameras: Mapping[str, CameraFrames], views: Sequence[View]
) -> list[str]:
    """Return the lines that tell people the result."""
    lines = []
    for name, frames in cameras.items():
        found = result.cameras[name]
        entry = transform_entry(frames.parent, frames.names.optical, frames.T_parent_optical)
        x, y, z = (entry["translation"][k] for k in "xyz")
        roll, pitch, yaw = np.rad2deg(entry["rpy"])
        label = "camera" if len(cameras) == 1 else f"camera {label_of(name)}"
        lines += [
            f"{label}: {frames.parent} -> {frames.names.optical}",
            f"  xyz {x:+.4f} {y:+.4f} {z:+.4f} m, rpy {roll:+.2f} {pitch:+.2f} {yaw:+.2f} deg; "
            f"± {1e3 * found.std_m:.1f} mm, {np.rad2deg(found.std_rad):.2f} deg",
        ]
        if found.lag_std_s > 0:
            lines.append(
                f"  images show the joints {1e3 * found.lag_s:+.1f} ± {1e3 * found.lag_std_s:.1f} "
                "ms from their stamp"
            )
    if result.joint_names:
        lines.append("joint offsets, to be added to the readings:")
        wide = max(len(n) for n in result.joint_names)
        for name, words in _offsets(result, model):
            pressed = "  at the limit of the search" if name in result.at_limit else ""
            lines.append(f"  {name:<{wide}} {words}{pressed}")
    lines.append("keyframes: silhouette error before and after, % of the robot's area; agreement")
    wide = max((len(view.name) for view in views), default=0)
    for view in views:
        k = view.result
        out = f"  left out: {k.reason}" if k.rejected else ""
        lines.append(
            f"  {view.name:<{wide}} {100 * k.residual_before:6.1f} {100 * k.residual:6.1f} "
            f"{k.agreement:6.2f}{out}"
        )
    for words in result.unobservable:
        lines.append(f"not seen: {words}")
    lines.append(f"verdict: {result.verdict.value.upper()}")
    lines += [f"  {reason}" for reason in result.reasons]
    return lines


def _offsets(result: Any, model: Any) -> list[tuple[str, str]]:
    """Return name and words of every offset, in degrees or mm."""
    rows = []
    for name in result.joint_names:
        i = model.joint_v_index(name)
        row = model.tree.joint_names.index(name)
        slides = model.tree.joint_type[row] == JointType.PRISMATIC
        scale, unit = (1e3, "mm") if slides else (180.0 / np.pi, "deg")
        value, std = scale * result.offsets[i], scale * result.offset_std[i]
        rows.append((name, f"{value:+8.3f} ± {std:.3f} {unit}"))
    return rows
