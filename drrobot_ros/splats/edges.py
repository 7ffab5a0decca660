"""Room for the Gaussians' tails at sharp edges.

A flat Gaussian reaches beyond its cell. Around a smooth body its tails stay near the tangent
plane, so the outline is kept; beside a sharp edge they stick out and make the robot look fatter
than it is. So the surface within a narrow band of a sharp outer edge gets no Gaussians.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from drrobot_ros.splats.surface import SurfacePoints

_NEIGHBOURS = 24
_TOLERANCE = 0.25
_OPPOSITE = -0.5  # cosine between normals beyond which a face is the other side of a wall


def away_from_edges(points: SurfacePoints, band_m: float) -> NDArray[np.bool_]:
    """Return which points [D] are farther than about `band_m` from every sharp outer edge.

    A point moved inward by the band is nearer than that to some face across the edge exactly if
    the point lies in the band; on a smooth surface none is. Faces that look the opposite way, the
    other side of a thin wall, do not count.

    Args:
        points: dense in comparison with the band.
        band_m: width, m; 0 keeps all.
    """
    keep = np.ones(len(points), dtype=bool)
    if band_m <= 0:
        return keep
    for link in np.unique(points.link):
        own = np.flatnonzero(points.link == link)
        position, normal = points.position[own], points.normal[own]
        distance, near = KDTree(position).query(
            position - band_m * normal,
            k=min(_NEIGHBOURS, len(own)),
            distance_upper_bound=band_m * (1 - _TOLERANCE),
        )
        distance, near = distance.reshape(len(own), -1), near.reshape(len(own), -1)
        found = np.isfinite(distance)
        cosine = np.einsum("dki,di->dk", normal[np.where(found, near, 0)], normal)
        across = found & (cosine > _OPPOSITE)
        # A part narrower than two bands would vanish: leave it whole.
        if not across.any(axis=1).all():
            keep[own] = ~across.any(axis=1)
    return keep
