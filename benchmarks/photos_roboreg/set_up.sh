#!/bin/bash
# Builds .venv-roboreg beside the repository's own environment; does nothing where it is complete.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
environment=$root/.venv-roboreg
stamp=$environment/complete
if cmp -s "$stamp" "$root/benchmarks/photos_roboreg/requirements.txt"; then
    exit 0
fi
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet -r "$root/benchmarks/photos_roboreg/requirements.txt"
"$environment/bin/pip" install --quiet --no-deps roboreg==0.6.7 diffrp-nvdiffrast==0.3.3.1
"$environment/bin/python" -c "import roboreg.registration.point_cloud.solver"
cp "$root/benchmarks/photos_roboreg/requirements.txt" "$stamp"
