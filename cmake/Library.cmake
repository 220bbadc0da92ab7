# What is installed: the library, static and shared, the command, the face, and how others find them.
include(CMakePackageConfigHelpers)

set(RHEO_FACE ${PROJECT_SOURCE_DIR}/include/rheo/rheo.h ${PROJECT_SOURCE_DIR}/include/rheo/status.h)

add_library(rheo_static STATIC ${RHEO_OBJECTS})
add_library(rheo_shared SHARED ${RHEO_OBJECTS})
set_target_properties(rheo_static PROPERTIES OUTPUT_NAME rheo EXPORT_NAME rheo_static LINKER_LANGUAGE C)
set_target_properties(rheo_shared PROPERTIES OUTPUT_NAME rheo EXPORT_NAME rheo LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}) # before 1.0 a minor version may break the face
target_link_libraries(rheo_shared PRIVATE $<BUILD_INTERFACE:rheo_flags>)
target_link_libraries(rheo_static PRIVATE $<BUILD_INTERFACE:rheo_flags>
                      INTERFACE $<INSTALL_INTERFACE:jansson> $<INSTALL_INTERFACE:png> $<INSTALL_INTERFACE:z> $<INSTALL_INTERFACE:m> $<INSTALL_INTERFACE:-pthread>)
foreach(library rheo_static rheo_shared)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
add_library(rheo::rheo ALIAS rheo_shared)

# The command sees the face alone, and carries the library in itself: nothing to find at its start.
file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
if(cli_sources AND TARGET rheo_api)
add_executable(rheo_cli ${cli_sources})
set_target_properties(rheo_cli PROPERTIES OUTPUT_NAME rheo RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_compile_options(rheo_cli PRIVATE ${RHEO_WARNINGS})
target_compile_definitions(rheo_cli PRIVATE _POSIX_C_SOURCE=200809L)
target_link_libraries(rheo_cli PRIVATE rheo_static PkgConfig::JANSSON m)
endif()

configure_file(${PROJECT_SOURCE_DIR}/cmake/rheo.pc.in ${PROJECT_BINARY_DIR}/rheo.pc @ONLY)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/rheoConfig.cmake.in ${PROJECT_BINARY_DIR}/rheoConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rheoConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS rheo_static rheo_shared EXPORT rheo_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET rheo_cli)
  install(TARGETS rheo_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES ${RHEO_FACE} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rheo)
install(EXPORT rheo_targets NAMESPACE rheo:: FILE rheoTargets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
install(FILES ${PROJECT_BINARY_DIR}/rheoConfig.cmake ${PROJECT_BINARY_DIR}/rheoConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
install(FILES ${PROJECT_BINARY_DIR}/rheo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/rheo.1)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/rheo.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
