# src/*/cuda, which needs CUDA's headers: a part of the library where libtorch is a CUDA build. Elsewhere it is compiled on
# request only (target nuri_cuda, .ci/cuda): neither a GPU nor such a libtorch is needed to see that it fits libtorch's
# headers.
file(GLOB beside_torch "${NURI_TORCH}/../nvidia/*/include")
unset(cuda_headers)
foreach(folder ${beside_torch} "${PROJECT_SOURCE_DIR}/build/cuda-headers/include" /usr/local/cuda/include)
  # The headers of a compiler come in a wheel of their own, which libtorch itself does not ask for.
  if(NOT cuda_headers AND EXISTS "${folder}/cuda_runtime_api.h" AND EXISTS "${folder}/crt/host_config.h")
    set(cuda_headers "${folder}")
  endif()
endforeach()
if(NURI_TORCH_CUDA AND NOT cuda_headers)
  message(FATAL_ERROR "found no CUDA headers beside libtorch, nor in /usr/local/cuda: run setup/cuda_headers.sh")
endif()

set(nuri_cuda_objects)
if(cuda_headers)
  add_library(nuri_cuda OBJECT EXCLUDE_FROM_ALL ${cuda_sources})
  target_link_libraries(nuri_cuda PRIVATE nuri_flags nuri_torch)
  target_compile_options(nuri_cuda PRIVATE "SHELL:-idirafter ${cuda_headers}")
  # What configuring a CUDA build of libtorch writes, and a CPU build lacks.
  if(NOT EXISTS "${NURI_TORCH}/include/c10/cuda/impl/cuda_cmake_macros.h")
    file(CONFIGURE OUTPUT cuda/c10/cuda/impl/cuda_cmake_macros.h CONTENT "#define C10_CUDA_BUILD_SHARED_LIBS\n")
    target_compile_options(nuri_cuda PRIVATE "SHELL:-idirafter ${PROJECT_BINARY_DIR}/cuda")
  endif()
  if(NURI_TORCH_CUDA)
    set(nuri_cuda_objects $<TARGET_OBJECTS:nuri_cuda>)
  endif()
endif()
