# Unit tests lie beside the code as name_test.cpp; those of the torch-free floors are linked without torch.
find_package(GTest REQUIRED)
find_program(NURI_PYTHON python3 REQUIRED)
include(GoogleTest)

# nuri_unit_tests(name sources... OBJECTS objects... LINK targets... PCH target)
# One program, when there are sources; each of its tests is a test of CTest.
function(nuri_unit_tests name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH" "LINK;OBJECTS")
  if(NOT arg_UNPARSED_ARGUMENTS)
    return()
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS} ${arg_OBJECTS})
  target_link_libraries(${name} PRIVATE nuri_flags nuri_plain_libraries GTest::gtest_main GTest::gmock ${arg_LINK})
  target_compile_options(${name} PRIVATE ${quick_to_build})
  target_precompile_headers(${name} REUSE_FROM ${arg_PCH})
  target_compile_definitions(${name} PRIVATE NURI_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             NURI_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_options(${name} PRIVATE "LINKER:-rpath-link,${NURI_TORCH}/lib")
  if(NURI_SANITIZE)
    target_sources(${name} PRIVATE cmake/sanitizer_options.cpp)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 600)
endfunction()

nuri_unit_tests(nuri_plain_tests ${plain_tests} OBJECTS $<TARGET_OBJECTS:nuri_plain> PCH nuri_plain)
nuri_unit_tests(nuri_torch_tests ${torch_tests} PCH nuri_with_torch LINK libnuri nuri_torch)
nuri_unit_tests(nuri_cli_tests ${cli_tests} OBJECTS "$<FILTER:$<TARGET_OBJECTS:nuri_cli>,EXCLUDE,/main\\.cpp>"
                PCH nuri_plain LINK libnuri CLI11::CLI11)

# End-to-end tests, the laws, the set-up and the installed package are scripts that need no more than python3 itself.
file(GLOB scripts CONFIGURE_DEPENDS tests/*/test_*.py)
foreach(script ${scripts})
  cmake_path(GET script PARENT_PATH folder)
  cmake_path(GET folder FILENAME folder)
  cmake_path(GET script STEM name)
  string(REGEX REPLACE "^test_" "${folder}." name ${name})
  add_test(NAME ${name} COMMAND ${NURI_PYTHON} -B ${script})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1200 WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    ENVIRONMENT "NURI_BIN=$<TARGET_FILE:nuri_cli>;NURI_BINARY_DIR=${PROJECT_BINARY_DIR};NURI_SANITIZE=$<BOOL:${NURI_SANITIZE}>;CMAKE=${CMAKE_COMMAND};CXX=${CMAKE_CXX_COMPILER};PYTHONIOENCODING=utf-8")
endforeach()

include(tests/CMakeLists.txt)
