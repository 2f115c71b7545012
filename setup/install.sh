#!/bin/bash
# Makes this machine ready to build Nuri: Debian packages with apt-get, libtorch from the torch wheel in .venv/
# (or NURI_TORCH=/path, which skips the wheel). Says nothing and takes a fraction of a second when nothing is
# missing. Writes the folder of libtorch to build/torch.path. Every failure is one line on standard error; what
# the tools said is in build/setup.log.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
log=build/setup.log

fail() {
  echo "setup: $*" >&2
  exit 1
}

# The last line of the log that tells of an error, without its mark.
last_error() {
  grep -E '^(E|ERROR|Error|sudo): ?' "$log" | tail -n 1 | sed -E 's/^(E|ERROR|Error): *//'
}

# What of setup/packages.txt is not installed, on one line.
missing_packages() {
  local wanted
  wanted=$(sed 's/#.*//' setup/packages.txt)
  # shellcheck disable=SC2086  # one word a package
  dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    awk -v wanted="$wanted" '$1 == "installed" { have[$2] }
      END { n = split(wanted, names); for (i = 1; i <= n; ++i) if (!(names[i] in have)) printf "%s ", names[i] }'
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

install_packages() {
  local missing=$1
  command -v apt-get >/dev/null || fail "found no apt-get to install: $missing"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "not root, and found no sudo, to install: $missing"
    if [ -t 0 ]; then sudo -v; else sudo -n true 2>/dev/null; fi || fail "sudo refused the right to install: $missing"
  fi
  date >"$log"
  echo "setup: installing Debian packages (log: $log): $missing"
  as_root apt-get update >>"$log" 2>&1
  # shellcheck disable=SC2086
  as_root apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 $missing >>"$log" 2>&1 </dev/null ||
    fail "apt-get could not install the packages: $(last_error) (log: $log)"
  missing=$(missing_packages)
  [ -z "$missing" ] || fail "apt-get left these uninstalled: $missing(log: $log)"
}

# The compiler that CMake will take must be GCC 12 or Clang 16 or later.
check_compiler() {
  local compiler=${CXX:-c++} macros
  # shellcheck disable=SC2086  # CXX may hold a launcher and arguments
  macros=$($compiler -dM -E -x c++ /dev/null 2>/dev/null) || fail "the C++ compiler '$compiler' does not run"
  awk '$2 == "__GNUC__" { gcc = $3 } $2 == "__clang_major__" { clang = $3 }
    END { exit !(clang ? clang >= 16 : gcc >= 12) }' <<<"$macros" ||
    fail "the C++ compiler '$compiler' is $($compiler --version | head -n 1): GCC 12 or Clang 16 or later is needed (set CXX)"
}

# Prints the folder of the wheel's libtorch.
find_wheel() {
  local folder
  for folder in "$PWD"/.venv/lib/python3*/site-packages/torch; do
    [ -e "$folder/lib/libtorch_cpu.so" ] && [ -e "$folder/include/ATen/ATen.h" ] && echo "$folder" && return
  done
  return 1
}

# True when a shared library of libtorch asks for another that is not there.
lacks_libraries() {
  local folder
  folder=$(find_wheel) || return 1
  ldd "$folder"/lib/libtorch_c*.so 2>>"$log" | grep 'not found' >>"$log"
}

install_wheel() {
  local python=/usr/bin/python3
  [ -x $python ] || python=python3
  local pip=(.venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off --no-compile
    -r setup/requirements.txt)
  date >>"$log"
  echo "setup: installing $(cat setup/requirements.txt) into .venv/ (log: $log)"
  .venv/bin/python -m pip --version >>"$log" 2>&1 || $python -m venv .venv >>"$log" 2>&1 ||
    fail "$python could not make .venv/: $(last_error) (log: $log)"
  "${pip[@]}" --no-deps >>"$log" 2>&1 || fail "pip could not install the wheel: $(last_error) (log: $log)"
  if lacks_libraries; then
    echo "setup: this build of torch needs CUDA's libraries, installing them too"
    "${pip[@]}" >>"$log" 2>&1 || fail "pip could not install what the wheel needs: $(last_error) (log: $log)"
    ! lacks_libraries || fail "libtorch lacks shared libraries (log: $log)"
  fi
  find_wheel >/dev/null || fail "the wheel brought no libtorch (log: $log)"
  cp setup/requirements.txt .venv/nuri-requirements.txt  # last, so that a broken installation is done again
}

mkdir -p build 2>/dev/null && [ -w build ] || fail "cannot write in $PWD/build"

if command -v dpkg-query >/dev/null; then
  missing=$(missing_packages)
  [ -z "$missing" ] || install_packages "$missing"
else
  fail "found no dpkg: this set-up knows Debian only; install what setup/packages.txt lists and call cmake yourself"
fi
check_compiler

if [ -n "${NURI_TORCH:-}" ]; then
  torch=$(realpath -- "$NURI_TORCH") && [ -e "$torch/lib/libtorch_cpu.so" ] && [ -e "$torch/include/ATen/ATen.h" ] ||
    fail "NURI_TORCH=$NURI_TORCH: found no lib/libtorch_cpu.so and include/ATen/ATen.h there"
else
  cmp -s setup/requirements.txt .venv/nuri-requirements.txt && find_wheel >/dev/null || install_wheel
  torch=$(find_wheel)
fi
if [ -e "$torch/lib/libtorch_cuda.so" ] && ! compgen -G "$torch/../nvidia/*/include/crt/host_config.h" >/dev/null; then
  setup/cuda_headers.sh || exit 1
fi
[ "$(cat build/torch.path 2>/dev/null)" = "$torch" ] || echo "$torch" >build/torch.path
