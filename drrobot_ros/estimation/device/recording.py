"""Evaluations as CUDA graphs.

An evaluation is some hundred small kernels; starting them one by one costs more than they do. A
graph starts them all at once. It needs arrays of fixed sizes at fixed places: images and links are
copied there, and lists of pairs get the room that the last evaluation needed and half as much
again. Where that does not suffice the evaluation is done again without a graph.
"""

import logging
import threading

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.estimation.device.evaluation import Task, evaluate
from drrobot_ros.estimation.device.pairs import Capacity
from drrobot_ros.estimation.device.planes import Planes
from drrobot_ros.estimation.device.projection import LinkSplats

_LOG = logging.getLogger(__name__)
_SPARE = 1.5
_ROUND = 4096
_MOST = 8  # graphs held: each keeps the memory of its arrays


class Recording:
    """One evaluation with its arrays at fixed places; on CUDA a graph."""

    def __init__(
        self, splats: LinkSplats, planes: Planes, flat: Tensor, task: Task, capacity: Capacity
    ) -> None:
        self.capacity = capacity
        self._arguments = (splats, *_copied(planes, flat), task, capacity)
        self._shown: Planes | None = planes
        self._out: Tensor | None = None
        self._graph = _captured(self) if flat.is_cuda else None

    def call(self) -> Tensor:
        """Evaluate what lies in the arrays."""
        self._out = evaluate(*self._arguments)
        return self._out

    def run(self, planes: Planes, flat: Tensor) -> NDArray[np.float64]:
        """Return the evaluation of images and links; the planes' kinds must be as recorded."""
        own_planes, own_flat = self._arguments[1:3]
        if planes is not self._shown:
            for own, new in zip(own_planes, planes, strict=True):
                if own is not None and new is not None:
                    own.copy_(new)
            self._shown = planes
        own_flat.copy_(flat)
        if self._graph is None:
            return self.call().cpu().numpy()
        self._graph.replay()
        assert self._out is not None
        return self._out.cpu().numpy()


class Evaluator:
    """Evaluates a robot's images, recorded where that pays.

    Args:
        splats: the robot's; their colours may change in place.
        record: whether to record; None: on CUDA.
    """

    def __init__(self, splats: LinkSplats, record: bool | None = None) -> None:
        self._splats = splats
        self._device = splats.mean.device
        self._record = self._device.type == "cuda" if record is None else record
        self._recordings: dict[tuple[object, ...], Recording] = {}
        self._lock = threading.Lock()

    def __call__(
        self, planes: Planes, flat: NDArray[np.float32], task: Task
    ) -> NDArray[np.float64]:
        """Return what `evaluate` does."""
        sent = torch.from_numpy(flat).to(self._device)
        if not self._record:
            return evaluate(self._splats, planes, sent, task, None).cpu().numpy()
        key = (task, len(flat), *(plane is not None for plane in planes))
        with self._lock:
            recording = self._recordings.get(key)
            if recording is not None:
                out = recording.run(planes, sent)
                if all(n <= room for n, room in zip(out, recording.capacity, strict=False)):
                    return out
                del self._recordings[key]
            out = evaluate(self._splats, planes, sent, task, None).cpu().numpy()
            self._add(key, planes, sent, task, _room(out, recording))
            return out

    def _add(
        self,
        key: tuple[object, ...],
        planes: Planes,
        flat: Tensor,
        task: Task,
        capacity: Capacity,
    ) -> None:
        while len(self._recordings) >= _MOST:
            del self._recordings[next(iter(self._recordings))]
        try:
            self._recordings[key] = Recording(self._splats, planes, flat, task, capacity)
        except RuntimeError as error:
            self._record = False
            _LOG.warning("no CUDA graph, the tracker goes on without: %s", error)


def _room(out: NDArray[np.float64], before: Recording | None) -> Capacity:
    least = (0, 0, 0) if before is None else before.capacity
    wanted = [max(int(_SPARE * n), m) for n, m in zip(out, least, strict=False)]
    return Capacity._make(-(-n // _ROUND) * _ROUND + _ROUND for n in wanted)


def _copied(planes: Planes, flat: Tensor) -> tuple[Planes, Tensor]:
    return Planes._make(None if x is None else x.clone() for x in planes), flat.clone()


def _captured(recording: Recording) -> torch.cuda.CUDAGraph:
    """Return a recording's evaluation as a graph; the call before it makes the libraries ready."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        recording.call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on using the GPU.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        recording.call()
    return graph
