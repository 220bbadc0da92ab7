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

# The command sees the face alone, and carries the library in itself: nothing to find at its start. What draws is a second program beside
# it, the same but for rheo plot: plot_*.c in place of start_plot.c.
file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
if(cli_sources AND TARGET rheo_api)
set(cli_drawing ${cli_sources})
list(FILTER cli_drawing INCLUDE REGEX "/plot_[^/]*$")
set(cli_start ${PROJECT_SOURCE_DIR}/cli/start_plot.c)
list(REMOVE_ITEM cli_sources ${cli_drawing} ${cli_start})
add_library(rheo_commands OBJECT ${cli_sources})
add_executable(rheo_cli ${cli_start})
set_target_properties(rheo_cli PROPERTIES OUTPUT_NAME rheo)
set(cli_programs rheo_cli)
if(RHEO_PLOT)
  add_executable(rheo_plot ${cli_drawing})
  set_target_properties(rheo_plot PROPERTIES OUTPUT_NAME rheo-plot)
  target_link_libraries(rheo_plot PRIVATE PkgConfig::CAIRO)
  list(APPEND cli_programs rheo_plot)
endif()
foreach(target IN ITEMS rheo_commands ${cli_programs})
  target_compile_options(${target} PRIVATE ${RHEO_WARNINGS})
  target_compile_definitions(${target} PRIVATE _POSIX_C_SOURCE=200809L)
  target_link_libraries(${target} PRIVATE rheo_static PkgConfig::JANSSON m)
endforeach()
foreach(target IN LISTS cli_programs)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:rheo_commands>)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} LINKER_LANGUAGE C)
endforeach()
endif()

configure_file(${PROJECT_SOURCE_DIR}/cmake/rheo.pc.in ${PROJECT_BINARY_DIR}/rheo.pc @ONLY)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/rheoConfig.cmake.in ${PROJECT_BINARY_DIR}/rheoConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rheoConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS rheo_static rheo_shared EXPORT rheo_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET rheo_cli)
  install(TARGETS ${cli_programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES ${RHEO_FACE} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/rheo)
install(EXPORT rheo_targets NAMESPACE rheo:: FILE rheoTargets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
install(FILES ${PROJECT_BINARY_DIR}/rheoConfig.cmake ${PROJECT_BINARY_DIR}/rheoConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/rheo)
install(FILES ${PROJECT_BINARY_DIR}/rheo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/rheo.1)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/rheo.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
