"""Off-screen OpenGL is not everywhere: say why tests are skipped."""

import pytest

from drrobot_ros.errors import BackendError
from drrobot_ros.simulation.gl import make_context


@pytest.fixture(scope="session")
def graphics():
    try:
        make_context(16, 16).free()
    except BackendError as error:
        pytest.skip(str(error))
