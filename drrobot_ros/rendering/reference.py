"""The rasterizer in plain torch: slow, differentiable by autograd, what the fast ones must equal.

Semantics are gsplat's: a Gaussian's alpha at a pixel is ``min(0.999, o exp(-s))``, skipped below
1/255; a pixel stops before its transmittance falls to 1e-4; ``eps2d`` is added to the diagonal of
the projected covariance; pixel centres lie at +0.5; the slopes x/z and y/z in the projection's
Jacobian are bounded a little outside the image.

Sources: Zwicker et al. 2001, EWA splatting; Kerbl et al. 2023, 3D Gaussian splatting; Yu et al.
2024, Mip-Splatting (the antialiased mode); gsplat 1.5.3 (the conventions).
"""

from typing import NamedTuple

import torch

from drrobot_ros.rendering.inputs import RasterInputs

MIN_ALPHA = 1.0 / 255.0
MAX_ALPHA = 0.999
MIN_TRANSMITTANCE = 1e-4
TILE = 16


class Projected(NamedTuple):
    """Gaussians on one image."""

    means2d: torch.Tensor  # [N, 2] px
    covariance: torch.Tensor  # [N, 3] px^2: xx, xy, yy, eps2d included
    depths: torch.Tensor  # [N] camera z
    opacities: torch.Tensor  # [N] compensated in the antialiased mode


def rasterize_reference(inputs: RasterInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Render checked inputs; every operation is differentiable torch.

    Returns:
        Image [C, H, W, D] and alpha [C, H, W, 1].
    """
    images, alphas = [], []
    for camera in range(inputs.viewmats.shape[0]):
        image, alpha = _render_camera(inputs, camera)
        images.append(image)
        alphas.append(alpha)
    return torch.stack(images), torch.stack(alphas)


def quaternion_to_matrix(quats: torch.Tensor) -> torch.Tensor:
    """Return rotations [N, 3, 3] of quaternions [N, 4] wxyz of any norm but zero."""
    w, x, y, z = torch.unbind(quats / quats.norm(dim=-1, keepdim=True), dim=-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=-1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=-1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def project(inputs: RasterInputs, camera: int, index: torch.Tensor) -> Projected:
    """Project the Gaussians ``index`` [M] to one camera's image."""
    viewmat, K = inputs.viewmats[camera], inputs.Ks[camera]
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    x, y, z = torch.unbind(inputs.means[index] @ viewmat[:3, :3].T + viewmat[:3, 3], dim=-1)
    axes = quaternion_to_matrix(inputs.quats[index]) * inputs.scales[index][:, None, :]
    axes = viewmat[:3, :3] @ axes  # [M, 3, 3], covariance axes axes^T in the camera frame

    slope_x = _bounded_slope(x / z, cx / fx, inputs.width / fx)
    slope_y = _bounded_slope(y / z, cy / fy, inputs.height / fy)
    zero = torch.zeros_like(z)
    J = torch.stack(
        [
            torch.stack([fx / z, zero, -fx * slope_x / z], dim=-1),
            torch.stack([zero, fy / z, -fy * slope_y / z], dim=-1),
        ],
        dim=-2,
    )
    U = J @ axes  # [M, 2, 3]
    sharp = U @ U.transpose(-1, -2)
    xx, xy, yy = sharp[:, 0, 0] + inputs.eps2d, sharp[:, 0, 1], sharp[:, 1, 1] + inputs.eps2d
    opacities = inputs.opacities[index]
    if inputs.rasterize_mode == "antialiased":
        det_sharp = sharp[:, 0, 0] * sharp[:, 1, 1] - xy * xy
        ratio = det_sharp / (xx * yy - xy * xy)
        opacities = opacities * torch.sqrt(torch.clamp(ratio, min=0.0))
    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1)
    return Projected(means2d, torch.stack([xx, xy, yy], dim=-1), z, opacities)


def _bounded_slope(slope: torch.Tensor, center: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    margin = 0.3 * 0.5 * extent
    return torch.clamp(slope, min=-(center + margin), max=extent - center + margin)


@torch.no_grad()
def _drawn(inputs: RasterInputs, camera: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices [M] of the Gaussians that can be seen, nearest first, and boxes [M, 4].

    A box is the pixels x0, x1, y0, y1 (x1 and y1 excluded) outside which alpha is below 1/255.
    """
    colors = inputs.colors if inputs.colors.ndim == 2 else inputs.colors[camera]
    finite = torch.isfinite(inputs.opacities)
    for tensor in (inputs.means, inputs.quats, inputs.scales, colors):
        finite &= torch.isfinite(tensor).all(dim=-1)
    finite &= (inputs.quats != 0).any(dim=-1)
    index = torch.nonzero(finite)[:, 0]
    p = project(inputs, camera, index)
    xx, xy, yy = torch.unbind(p.covariance, dim=-1)
    det = xx * yy - xy * xy
    reach = 2 * torch.log(p.opacities / MIN_ALPHA)
    rx, ry = torch.sqrt(reach * xx), torch.sqrt(reach * yy)
    u, v = torch.unbind(p.means2d, dim=-1)
    width, height = inputs.width, inputs.height
    seen = (p.depths >= inputs.near_plane) & (p.depths <= inputs.far_plane)
    seen &= torch.isfinite(det) & (det > 0) & (p.opacities >= MIN_ALPHA)
    seen &= (u + rx > 0) & (u - rx < width) & (v + ry > 0) & (v - ry < height)
    x0, x1 = torch.ceil(u - rx - 0.51), torch.floor(u + rx - 0.49) + 1
    y0, y1 = torch.ceil(v - ry - 0.51), torch.floor(v + ry - 0.49) + 1
    box = torch.stack(
        [x0.clamp(0, width), x1.clamp(0, width), y0.clamp(0, height), y1.clamp(0, height)], dim=-1
    )
    seen &= (box[:, 0] < box[:, 1]) & (box[:, 2] < box[:, 3])
    index, box, depths = index[seen], box[seen].long(), p.depths[seen]
    order = torch.argsort(depths, stable=True)
    return index[order], box[order]


def _render_camera(inputs: RasterInputs, camera: int) -> tuple[torch.Tensor, torch.Tensor]:
    index, box = _drawn(inputs, camera)
    p = project(inputs, camera, index)
    xx, xy, yy = torch.unbind(p.covariance, dim=-1)
    det = xx * yy - xy * xy
    conic = torch.stack([yy / det, -xy / det, xx / det], dim=-1)
    colors = inputs.colors if inputs.colors.ndim == 2 else inputs.colors[camera]
    channels = colors[index] if inputs.has_color else colors[index][:, :0]
    background = channels.new_zeros(channels.shape[1])
    if inputs.backgrounds is not None and inputs.has_color:
        background = inputs.backgrounds[camera]
    if inputs.has_depth:
        channels = torch.cat([channels, p.depths[:, None]], dim=-1)
        background = torch.cat([background, background.new_zeros(1)])

    tile_rows = []
    for y0 in range(0, inputs.height, TILE):
        height = min(TILE, inputs.height - y0)
        in_row = torch.nonzero((box[:, 2] < y0 + height) & (box[:, 3] > y0))[:, 0]
        row_box = box[in_row]
        tiles = []
        for x0 in range(0, inputs.width, TILE):
            width = min(TILE, inputs.width - x0)
            k = in_row[(row_box[:, 0] < x0 + width) & (row_box[:, 1] > x0)]
            tiles.append(_render_tile(p, conic, channels, background, k, (x0, y0, width, height)))
        tile_rows.append(torch.cat(tiles, dim=1))
    image, alpha = torch.cat(tile_rows).split([channels.shape[1], 1], dim=-1)
    if inputs.expected_depth:
        depth = image[..., -1:] / alpha.clamp(min=1e-10)
        image = torch.cat([image[..., :-1], depth], dim=-1)
    return image, alpha


def _render_tile(
    p: Projected,
    conic: torch.Tensor,
    channels: torch.Tensor,
    background: torch.Tensor,
    k: torch.Tensor,
    tile: tuple[int, int, int, int],
) -> torch.Tensor:
    """Composite the Gaussians k [K], front to back; image [h, w, D + 1] with alpha last."""
    x0, y0, width, height = tile
    if len(k) == 0:
        pixel = torch.cat([background, background.new_zeros(1)])
        return pixel.expand(height, width, -1)
    kwargs = {"dtype": conic.dtype, "device": conic.device}
    ys, xs = torch.meshgrid(
        torch.arange(y0, y0 + height, **kwargs) + 0.5,
        torch.arange(x0, x0 + width, **kwargs) + 0.5,
        indexing="ij",
    )
    dx = xs.reshape(1, -1) - p.means2d[k, 0:1]  # [K, P]
    dy = ys.reshape(1, -1) - p.means2d[k, 1:2]
    a, b, c = conic[k, 0:1], conic[k, 1:2], conic[k, 2:3]
    s = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = torch.clamp(p.opacities[k, None] * torch.exp(-s), max=MAX_ALPHA)
    with torch.no_grad():
        visible = (alpha >= MIN_ALPHA) & (s >= 0)
        after = torch.cumprod(1 - alpha * visible, dim=0)
        composited = visible & (after > MIN_TRANSMITTANCE)  # after never rises: once done, done
    alpha = torch.where(composited, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = alpha * before
    image = weights.T @ channels[k] + after[-1][:, None] * background
    out = torch.cat([image, 1 - after[-1][:, None]], dim=-1)
    return out.reshape(height, width, -1)
