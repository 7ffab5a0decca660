"""Why a frame cannot be used."""

from drrobot_ros.errors import InputError


class FrameError(InputError):
    """A frame that cannot be used; ``topic`` says whose fault it is."""

    def __init__(self, topic: str, message: str) -> None:
        super().__init__(message)
        self.topic = topic


class NotReadyError(FrameError):
    """A frame that cannot be used yet; ``topic`` says what is still missing.

    Attributes:
        fault: whether somebody has to do something about it.
    """

    def __init__(self, topic: str, message: str, *, fault: bool = True) -> None:
        super().__init__(topic, message)
        self.fault = fault
