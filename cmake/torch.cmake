# libtorch from a torch installation: NURI_TORCH (cache or environment), else the wheel in .venv/.
# Own imported targets, because find_package(Torch) asks for a CUDA toolkit beside a CUDA wheel; headers come
# after the system's (-idirafter), because torch ships an fmt of its own.
if(NOT NURI_TORCH AND DEFINED ENV{NURI_TORCH})
  set(NURI_TORCH "$ENV{NURI_TORCH}")
endif()
if(NOT NURI_TORCH)
  file(GLOB NURI_TORCH "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
endif()
if(NOT EXISTS "${NURI_TORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no libtorch: found no lib/libtorch_cpu.so in '${NURI_TORCH}'; run 'make setup' or set NURI_TORCH")
endif()

foreach(name c10 torch_cpu torch)
  add_library(torch::${name} SHARED IMPORTED)
  set_target_properties(torch::${name} PROPERTIES IMPORTED_LOCATION "${NURI_TORCH}/lib/lib${name}.so")
endforeach()
set_target_properties(torch::torch_cpu PROPERTIES IMPORTED_LINK_INTERFACE_LIBRARIES torch::c10)

add_library(nuri_torch INTERFACE)
target_compile_options(nuri_torch INTERFACE
  "SHELL:-idirafter ${NURI_TORCH}/include" "SHELL:-idirafter ${NURI_TORCH}/include/torch/csrc/api/include")
target_link_libraries(nuri_torch INTERFACE torch::torch torch::torch_cpu torch::c10)
# The linker looks up what libtorch itself needs (its own libgomp) beside it.
target_link_options(nuri_torch INTERFACE "-Wl,-rpath-link,${NURI_TORCH}/lib" "-Wl,-rpath-link,${NURI_TORCH}/../torch.libs")
if(EXISTS "${NURI_TORCH}/lib/libtorch_cuda.so")
  # CUDA kernels register themselves when their library is loaded; nothing refers to them by symbol.
  target_link_options(nuri_torch INTERFACE "-Wl,--no-as-needed,${NURI_TORCH}/lib/libc10_cuda.so,${NURI_TORCH}/lib/libtorch_cuda.so,--as-needed")
endif()
