# Fuzzing of the parsers, which are free of torch. tests/fuzz/fuzz_<parser>.cpp holds one libFuzzer target; its seeds
# are tests/fuzz/corpus/<parser>/. Every build runs the seeds under CTest in a sanitizers' build of the parsers; Clang
# also builds the fuzzers themselves (target `fuzzers`, not part of `all`; see CONTRIBUTING.md).
include(CheckCXXSourceCompiles)

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer")
  set(CMAKE_REQUIRED_LINK_OPTIONS "-fsanitize=fuzzer")
  check_cxx_source_compiles("extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }"
                            NURI_HAS_LIBFUZZER)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
endif()
option(NURI_FUZZ "Build the libFuzzer executables (needs Clang and its libclang-rt)" ${NURI_HAS_LIBFUZZER})
if(NURI_FUZZ AND NOT NURI_HAS_LIBFUZZER)
  message(FATAL_ERROR "NURI_FUZZ: found ${CMAKE_CXX_COMPILER} without -fsanitize=fuzzer, expected Clang with libclang-rt")
endif()

set(fuzz_sanitizers address,undefined)
if(NURI_FUZZ)
  string(APPEND fuzz_sanitizers ,fuzzer-no-link)
endif()

# The pictures' resampling is a kernel; those of the models are of no use here.
set(parser_sources ${plain_sources})
list(FILTER parser_sources EXCLUDE REGEX "/src/train/|/kernels/(isa/)?(convert|few_rows|paged_attention|quantized|silu_gate|tile_)")
# A library, so that each target links its own parser only.
add_library(nuri_parsers STATIC ${parser_sources})
target_link_libraries(nuri_parsers PUBLIC nuri_flags nuri_plain_libraries)
target_precompile_headers(nuri_parsers PRIVATE cmake/pch_plain.h)
set_target_properties(nuri_parsers PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
# Without the checks of null pointers, which end the process anyway, and of alignment, which `make asan` makes: they
# cost a third of the time to compile.
target_compile_options(nuri_parsers PUBLIC -O1 -g1 -UNDEBUG -D_GLIBCXX_ASSERTIONS -fno-omit-frame-pointer
                       -fsanitize=${fuzz_sanitizers} -fno-sanitize=vptr,null,alignment -fno-sanitize-recover=all)
target_link_options(nuri_parsers PUBLIC -fsanitize=${fuzz_sanitizers})

add_library(nuri_corpus_main OBJECT tests/fuzz/corpus_main.cpp)
target_link_libraries(nuri_corpus_main PRIVATE nuri_parsers)
add_custom_target(fuzzers)

file(GLOB fuzz_targets CONFIGURE_DEPENDS tests/fuzz/fuzz_*.cpp)
foreach(source ${fuzz_targets})
  get_filename_component(target ${source} NAME_WE)
  string(REPLACE fuzz_ "" parser ${target})
  add_library(${target}_object OBJECT ${source})
  target_link_libraries(${target}_object PRIVATE nuri_parsers)

  add_executable(${target}_corpus $<TARGET_OBJECTS:${target}_object> $<TARGET_OBJECTS:nuri_corpus_main>)
  target_link_libraries(${target}_corpus PRIVATE nuri_parsers)
  add_test(NAME fuzz_corpus.${parser} COMMAND ${target}_corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${parser})
  set_tests_properties(fuzz_corpus.${parser} PROPERTIES TIMEOUT 300)

  if(NURI_FUZZ)
    add_executable(${target} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${target}_object>)
    target_link_libraries(${target} PRIVATE nuri_parsers)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${target})
  endif()
endforeach()

# Videos are read by a library beside the program that reads them: here one of our own, with the sanitizers too.
add_library(fuzz_video_module MODULE src/media/video_module/ffmpeg.cpp)
target_link_libraries(fuzz_video_module PRIVATE nuri_flags PkgConfig::ffmpeg)
target_compile_options(fuzz_video_module PRIVATE $<TARGET_PROPERTY:nuri_parsers,INTERFACE_COMPILE_OPTIONS>)
target_link_options(fuzz_video_module PRIVATE $<TARGET_PROPERTY:nuri_parsers,INTERFACE_LINK_OPTIONS>)
set_target_properties(fuzz_video_module PROPERTIES CXX_VISIBILITY_PRESET hidden OUTPUT_NAME nuri_video
                      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz_video_module)
foreach(program fuzz_video_corpus fuzz_video)
  if(TARGET ${program})
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz_video_module)
    add_dependencies(${program} fuzz_video_module)
  endif()
endforeach()
