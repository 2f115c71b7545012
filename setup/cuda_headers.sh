#!/bin/bash
# Brings CUDA's headers from PyPI into build/cuda-headers, for what is in src/*/cuda (cmake/cuda.cmake). Needs the network
# once; says nothing when they are there already.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wheels=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88)
to=build/cuda-headers

[ "$(cat $to/wheels 2>/dev/null)" = "${wheels[*]}" ] && exit 0
rm -rf $to
mkdir -p $to/download
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip download --no-input --disable-pip-version-check --progress-bar off --quiet --no-deps \
  -d $to/download "${wheels[@]}" >$to/log 2>&1 || {
  echo "setup: pip could not download ${wheels[*]} (log: $to/log)" >&2
  exit 1
}
for wheel in $to/download/*.whl; do
  .venv/bin/python -m zipfile -e "$wheel" $to/unpacked
done
mv $to/unpacked/nvidia/cu13/include $to/include
rm -rf $to/download $to/unpacked
echo "${wheels[*]}" >$to/wheels
