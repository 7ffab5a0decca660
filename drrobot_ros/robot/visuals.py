"""What a robot looks like: coloured triangle meshes fixed to its links."""

import dataclasses

import numpy as np

from drrobot_ros.errors import ModelError


@dataclasses.dataclass(frozen=True, eq=False)
class Visual:
    """One mesh of one link.

    Attributes:
        link: row of the link in the tree.
        vertices: [V, 3] float64 in link coordinates, m.
        faces: [F, 3] int32, counter-clockwise seen from outside.
        color: [4] float64 RGBA, 0 to 1, as displayed; the mean colour where faces have their own.
        face_colors: [F, 4] float64 RGBA, or None where all faces have `color`.
        name: of the mesh or geom, for messages.
    """

    link: int
    vertices: np.ndarray
    faces: np.ndarray
    color: np.ndarray
    face_colors: np.ndarray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        arrays = {
            "vertices": np.ascontiguousarray(self.vertices, dtype=np.float64),
            "faces": np.ascontiguousarray(self.faces, dtype=np.int32),
            "color": np.ascontiguousarray(self.color, dtype=np.float64),
        }
        shapes = {"vertices": (-1, 3), "faces": (-1, 3), "color": (4,)}
        if self.face_colors is not None:
            arrays["face_colors"] = np.ascontiguousarray(self.face_colors, dtype=np.float64)
            shapes["face_colors"] = (len(arrays["faces"]), 4)
        for key, array in arrays.items():
            want = shapes[key]
            if array.ndim != len(want) or any(
                w not in (-1, n) for w, n in zip(want, array.shape, strict=True)
            ):
                raise ModelError(f"visual {self.name!r}: {key} must be {want}, got {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        faces = arrays["faces"]
        if faces.size and (faces.min() < 0 or faces.max() >= len(arrays["vertices"])):
            raise ModelError(f"visual {self.name!r}: faces name vertices that do not exist")
