"""One evaluation as a function of tensors, without anything the host has to wait for inside it."""

from typing import NamedTuple

import torch
from torch import Tensor

from drrobot_ros.estimation.device.jacobian import Channels, images_of, jacobian_of
from drrobot_ros.estimation.device.packet import unpack
from drrobot_ros.estimation.device.pairs import Capacity, pairs_of
from drrobot_ros.estimation.device.planes import Planes
from drrobot_ros.estimation.device.projection import LinkSplats, project, tangents
from drrobot_ros.estimation.device.residuals import Size, normal_sums

COUNTS = 4  # pixels in boxes, pairs, pairs with a derivative, splats with a derivative


class Task(NamedTuple):
    """What decides the sizes of all arrays but the lists of pairs."""

    size: Size
    links: int


class JacobianImages(NamedTuple):
    """Channels [H*W,c], their derivatives [H*W,c,p] and `COUNTS` counts."""

    image: Tensor
    jacobian: Tensor
    counts: Tensor


def jacobian_images(
    splats: LinkSplats, flat: Tensor, task: Task, channels: Channels, capacity: Capacity | None
) -> JacobianImages:
    """Render the robot and its derivatives.

    Args:
        splats: the robot's.
        flat: packed links and numbers.
        task: sizes.
        channels: wanted.
        capacity: room for the lists of pairs; None: as needed, for which the host waits.
    """
    packet, size = unpack(flat, task.links), task.size
    on = project(splats, packet, size.width, size.height)
    pairs = pairs_of(on, size.width, size.height, capacity)
    images = images_of(pairs, splats.color, on.center[:, 2], channels)
    moments, slopes = tangents(splats, packet, on)
    jacobian, count, seen = jacobian_of(
        pairs,
        images,
        moments,
        slopes,
        channels,
        packet.numbers.cutoff,
        None if capacity is None else capacity.tangents,
    )
    counts = torch.cat([pairs.counts, count[None], seen.sum()[None]])
    return JacobianImages(images.value, jacobian, counts)


def evaluate(
    splats: LinkSplats, planes: Planes, flat: Tensor, task: Task, capacity: Capacity | None
) -> Tensor:
    """Return counts, statistics, g [p] and H [p,p] as one float64 array."""
    channels = Channels(planes.color is not None, planes.depth is not None)
    drawn = jacobian_images(splats, flat, task, channels, capacity)
    numbers = unpack(flat, task.links).numbers
    sums = normal_sums(drawn.image, drawn.jacobian, channels, planes, numbers, task.size)
    return torch.cat([drawn.counts.double(), sums])
