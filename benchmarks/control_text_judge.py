"""A judge of hands that had no part in posing them: MediaPipe's hand landmarks.

Its weights come in the wheel of mediapipe 0.10.14 (Apache-2.0), which is used as a carrier of data
only; ``fetch`` gets it through pip into ``benchmarks/out``. The network runs in a small interpreter
of the few TFLite operators it has.
"""

import importlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_PIN = "mediapipe==0.10.14"
_MODEL = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"
_WHEELS = Path(__file__).resolve().parent / "out" / "wheels"
_TIPS, _KNUCKLES = (8, 12, 16, 20), (5, 9, 13, 17)


def fetch() -> bytes | None:
    """Return the network's file, downloaded once; None where it cannot be had.

    ``DRROBOT_HAND_LANDMARKS`` may name the .tflite file itself.
    """
    named = os.environ.get("DRROBOT_HAND_LANDMARKS")
    if named:
        return Path(named).read_bytes()
    wheels = sorted(_WHEELS.glob("mediapipe-*.whl"))
    if not wheels:
        _WHEELS.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(_WHEELS)]
        if subprocess.run([*command, _PIN], check=False, timeout=300).returncode:
            return None
        wheels = sorted(_WHEELS.glob("mediapipe-*.whl"))
    with zipfile.ZipFile(wheels[-1]) as wheel:
        return wheel.read(_MODEL)


class HandLandmarks:
    """The network: images of one upright hand to 21 landmarks.

    Args:
        data: of its .tflite file.
    """

    def __init__(self, data: bytes) -> None:
        self._tflite = tflite = importlib.import_module("tflite")
        model = tflite.Model.GetRootAsModel(data, 0)
        self._graph = model.Subgraphs(0)
        names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        self._steps = []
        for i in range(self._graph.OperatorsLength()):
            op = self._graph.Operators(i)
            code = model.OperatorCodes(op.OpcodeIndex())
            kind = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            self._steps.append((kind, op))
        self._constants: dict[int, Tensor] = {}
        for i in range(self._graph.TensorsLength()):
            tensor = self._graph.Tensors(i)
            raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if not isinstance(raw, int) and len(raw):
                kind = {0: np.float32, 1: np.float16, 2: np.int32}[tensor.Type()]
                values = np.frombuffer(raw.tobytes(), kind)
                shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()
                self._constants[i] = torch.from_numpy(values.reshape(shape).copy())

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """Return 21 landmarks [21,3] in metres, and how surely a hand is seen, 0..1.

        Args:
            image: uint8 [224,224,3].
        """
        known = dict(self._constants)
        known[int(self._graph.Inputs(0))] = torch.from_numpy(image[None] / 255.0).float()
        for kind, op in self._steps:
            inputs = [known[int(i)] for i in op.InputsAsNumpy()]
            known[int(op.Outputs(0))] = self._run(kind, op, inputs)
        # Outputs: landmarks in the image, presence, handedness, landmarks in metres.
        out = [known[int(i)] for i in self._graph.OutputsAsNumpy()]
        return out[3].reshape(21, 3).numpy(), float(out[1])

    def _run(self, kind: str, op: Any, inputs: list[Tensor]) -> Tensor:
        if kind == "DEQUANTIZE":
            return inputs[0].float()
        if kind == "LOGISTIC":
            return inputs[0].sigmoid()
        if kind == "MEAN":
            return inputs[0].mean(tuple(int(k) for k in inputs[1]), keepdim=True).flatten(1)
        options = {"ADD": "Add", "FULLY_CONNECTED": "FullyConnected"}
        options |= {"CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D"}
        if kind not in options:
            raise NotImplementedError(kind)
        said = getattr(self._tflite, f"{options[kind]}Options")()
        table = op.BuiltinOptions()
        said.Init(table.Bytes, table.Pos)
        if kind == "ADD":
            found = inputs[0] + inputs[1]
        elif kind == "FULLY_CONNECTED":
            found = functional.linear(*inputs)
        else:
            found = _convolve(inputs, said, kind == "DEPTHWISE_CONV_2D")
        return {0: found, 1: found.relu(), 3: found.clamp(0, 6)}[said.FusedActivationFunction()]


def _convolve(inputs: list[Tensor], said: Any, depthwise: bool) -> Tensor:
    """Convolve [1,H,W,C] with TFLite's weights and its padding."""
    x, weight, bias = inputs[0].movedim(-1, 1), inputs[1], inputs[2]
    weight = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)
    stride = (said.StrideH(), said.StrideW())
    if said.Padding() == 0:  # SAME: what is left over goes right and below
        pads = []
        for size, k, s in zip(x.shape[2:], weight.shape[2:], stride, strict=True):
            over = max((-(-size // s) - 1) * s + k - size, 0)
            pads.append((over // 2, over - over // 2))
        x = functional.pad(x, (*pads[1], *pads[0]))
    groups = x.shape[1] if depthwise else 1
    return functional.conv2d(x, weight, bias, stride, groups=groups).movedim(1, -1)


def openness(landmarks: np.ndarray) -> float:
    """Return how far fingertips are from the wrist, by how far their knuckles are (no thumb)."""
    away = np.linalg.norm(landmarks - landmarks[0], axis=1)
    return float(np.mean(away[list(_TIPS)] / away[list(_KNUCKLES)]))
