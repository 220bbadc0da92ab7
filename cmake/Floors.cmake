# One object library a floor, lowest first; each sees the headers of src/ and include/ and links nothing.
set(RHEO_WARNINGS -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
    -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-format-nonliteral)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  list(APPEND RHEO_WARNINGS -Wno-pass-failed) # "loop not vectorized" is news in an optimised build only
endif()
if(CMAKE_C_FLAGS MATCHES "-fsanitize")
  list(REMOVE_ITEM RHEO_WARNINGS -Werror) # at -O1 with sanitizers gcc warns of what the release builds, where warnings are errors, know better
endif()
set(RHEO_NUMERICS -ffp-contract=off -fno-math-errno)
set(RHEO_FLOORS base kernel numeric graph net bijection density data model train api)

add_library(rheo_flags INTERFACE)
target_include_directories(rheo_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(rheo_flags INTERFACE ${RHEO_WARNINGS} ${RHEO_NUMERICS})
target_compile_definitions(rheo_flags INTERFACE _POSIX_C_SOURCE=200809L)
target_link_libraries(rheo_flags INTERFACE PkgConfig::JANSSON PkgConfig::PNG ZLIB::ZLIB Threads::Threads m)

set(RHEO_OBJECTS "")
foreach(floor IN LISTS RHEO_FLOORS)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/*.c)
  if(EXISTS ${PROJECT_SOURCE_DIR}/src/${floor}/sources.cmake)
    include(${PROJECT_SOURCE_DIR}/src/${floor}/sources.cmake) # may add to `sources` or make objects of its own in RHEO_OBJECTS
  endif()
  if(sources)
    add_library(rheo_${floor} OBJECT ${sources})
    target_link_libraries(rheo_${floor} PRIVATE rheo_flags)
    list(APPEND RHEO_OBJECTS $<TARGET_OBJECTS:rheo_${floor}>)
  endif()
  # rheo_upto_FLOOR: everything a test of that floor may use
  add_library(rheo_upto_${floor} STATIC EXCLUDE_FROM_ALL ${RHEO_OBJECTS} ${PROJECT_SOURCE_DIR}/cmake/empty.c)
  target_link_libraries(rheo_upto_${floor} PUBLIC rheo_flags)
endforeach()
