# libtorch from a torch installation: the environment's NURI_TORCH, else the cache's, else the wheel in .venv/.
# Own imported targets, because find_package(Torch) asks for a CUDA toolkit beside a CUDA wheel; headers come
# after the system's (-idirafter), because torch ships an fmt of its own.
set(NURI_TORCH "" CACHE PATH "Folder of libtorch, with lib/ and include/")
if(NOT "$ENV{NURI_TORCH}" STREQUAL "")
  set_property(CACHE NURI_TORCH PROPERTY VALUE "$ENV{NURI_TORCH}")
elseif(NURI_TORCH STREQUAL "")
  file(GLOB found "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch/lib/libtorch_cpu.so")
  if(found)
    list(GET found 0 found)
    cmake_path(GET found PARENT_PATH found)
    cmake_path(GET found PARENT_PATH found)
    set_property(CACHE NURI_TORCH PROPERTY VALUE "${found}")
  endif()
endif()
if(NOT EXISTS "${NURI_TORCH}/lib/libtorch_cpu.so" OR NOT EXISTS "${NURI_TORCH}/include/ATen/ATen.h")
  message(FATAL_ERROR "no libtorch in '${NURI_TORCH}': run 'make setup', or set NURI_TORCH")
endif()

# 2.11 and 2.12 work too; the header moved once.
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${NURI_TORCH}/include/${header}")
    file(STRINGS "${NURI_TORCH}/include/${header}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
    string(REGEX REPLACE "[^0-9;]" "" NURI_TORCH_VERSION "${lines}")
    list(JOIN NURI_TORCH_VERSION "." NURI_TORCH_VERSION)
    break()
  endif()
endforeach()
if(NURI_TORCH_VERSION VERSION_LESS 2.11)
  message(FATAL_ERROR "libtorch in '${NURI_TORCH}' is ${NURI_TORCH_VERSION}, 2.11 or later is needed")
endif()

function(nuri_import_torch name)
  add_library(torch::${name} SHARED IMPORTED)
  set_target_properties(torch::${name} PROPERTIES IMPORTED_LOCATION "${NURI_TORCH}/lib/lib${name}.so")
endfunction()

nuri_import_torch(c10)
nuri_import_torch(torch_cpu)
nuri_import_torch(torch)
add_library(nuri_torch INTERFACE)
target_compile_options(nuri_torch INTERFACE
  "SHELL:-idirafter ${NURI_TORCH}/include" "SHELL:-idirafter ${NURI_TORCH}/include/torch/csrc/api/include")
# Some of libtorch's classes have one member more without it, and libtorch was built with it.
target_compile_definitions(nuri_torch INTERFACE NDEBUG)
target_link_libraries(nuri_torch INTERFACE torch::torch torch::torch_cpu torch::c10)
# The OpenMP that libtorch runs on, so that there is one pool of threads: at::parallel_for is an inline function over it.
file(GLOB openmp "${NURI_TORCH}/lib/libgomp*.so*" "${NURI_TORCH}/lib/libiomp*.so*" "${NURI_TORCH}/lib/libomp*.so*")
if(openmp)
  list(GET openmp 0 openmp)
  target_link_libraries(nuri_torch INTERFACE "${openmp}")
else()
  target_link_options(nuri_torch INTERFACE -fopenmp)
endif()
# Where the linker finds what libtorch itself needs.
target_link_options(nuri_torch INTERFACE "LINKER:-rpath-link,${NURI_TORCH}/lib")

set(build_kind "CPU")
set(NURI_TORCH_CUDA OFF)
if(EXISTS "${NURI_TORCH}/lib/libtorch_cuda.so")
  # CUDA's kernels register themselves when their library is loaded; nothing refers to them by symbol.
  set(build_kind "CUDA")
  set(NURI_TORCH_CUDA ON)
  target_link_options(nuri_torch INTERFACE
    "LINKER:--push-state,--no-as-needed,${NURI_TORCH}/lib/libc10_cuda.so,${NURI_TORCH}/lib/libtorch_cuda.so,--pop-state")
endif()
message(STATUS "libtorch ${NURI_TORCH_VERSION} (${build_kind}) in ${NURI_TORCH}")
