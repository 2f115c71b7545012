# Unit tests lie beside the code as name_test.cpp. Those of the torch-free floors are linked without torch.
find_package(GTest REQUIRED)
include(GoogleTest)

file(GLOB_RECURSE all_tests CONFIGURE_DEPENDS src/*_test.cpp)
set(plain_tests ${all_tests})
list(FILTER plain_tests INCLUDE REGEX "/src/(base|formats|kernels|text|media|train/emoji_world)/|_config_test\\.cpp$|_processor_test\\.cpp$|/models/config_test\\.cpp$")
set(torch_tests ${all_tests})
if(plain_tests)
  list(REMOVE_ITEM torch_tests ${plain_tests})
endif()

set(test_definitions NURI_SOURCE_DIR="${PROJECT_SOURCE_DIR}" NURI_BINARY_DIR="${PROJECT_BINARY_DIR}")

if(plain_tests)
  add_executable(nuri_plain_tests ${plain_tests} $<TARGET_OBJECTS:nuri_plain>)
  target_link_libraries(nuri_plain_tests PRIVATE nuri_flags nuri_plain_libraries GTest::gtest_main GTest::gmock)
  target_precompile_headers(nuri_plain_tests REUSE_FROM nuri_plain)
  target_compile_definitions(nuri_plain_tests PRIVATE ${test_definitions})
  gtest_discover_tests(nuri_plain_tests DISCOVERY_TIMEOUT 60)
endif()
if(torch_tests)
  add_executable(nuri_torch_tests ${torch_tests})
  set_target_properties(nuri_torch_tests PROPERTIES BUILD_RPATH "${NURI_TORCH}/lib")
  target_link_libraries(nuri_torch_tests PRIVATE nuri_flags nuri_plain_libraries nuri_torch libnuri GTest::gtest_main GTest::gmock)
  target_precompile_headers(nuri_torch_tests REUSE_FROM nuri_with_torch)
  target_compile_definitions(nuri_torch_tests PRIVATE ${test_definitions})
  gtest_discover_tests(nuri_torch_tests DISCOVERY_TIMEOUT 120)
endif()

include(tests/CMakeLists.txt OPTIONAL)

# Compares tokenizers with the reference in bulk (tests/parity/tokenizers.py --full); built on demand only.
add_executable(nuri_tokenize_lines EXCLUDE_FROM_ALL tests/parity/tokenize_lines.cpp $<TARGET_OBJECTS:nuri_plain>)
target_link_libraries(nuri_tokenize_lines PRIVATE nuri_flags nuri_plain_libraries)
