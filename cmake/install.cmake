# cmake --install: the program, libnuri, its public headers, the bundled models, and what find_package(nuri) reads.
# The public headers are those of src/tasks (<nuri/ask.h>, ...) without a line "// Not installed", and the error that
# they throw.
include(CMakePackageConfigHelpers)

install(TARGETS nuri_cli libnuri)
install(TARGETS nuri_video LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
file(GLOB public_headers CONFIGURE_DEPENDS src/tasks/*.h)
foreach(header ${public_headers})
  file(STRINGS ${header} private REGEX "^// Not installed")
  if(private)
    list(REMOVE_ITEM public_headers ${header})
  endif()
endforeach()
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nuri)
install(FILES src/base/error.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nuri/base)
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/nuri/models OPTIONAL)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/nuri)
configure_package_config_file(cmake/nuri-config.cmake.in nuri-config.cmake INSTALL_DESTINATION ${package_folder}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(nuri-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/nuri-config.cmake ${PROJECT_BINARY_DIR}/nuri-config-version.cmake
        DESTINATION ${package_folder})
