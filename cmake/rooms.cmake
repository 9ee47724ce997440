# SPDX-License-Identifier: Apache-2.0
# A room is a folder of src/: an OBJECT library of its *.c (without *_test.c) and one cmocka program per *_test.c. A test links the
# objects of its room and of the rooms below, so a call upwards does not link.

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Werror
  -fno-math-errno -fno-trapping-math -fno-common -fvisibility=hidden -ffp-contract=off)
# gcc 12 at -O3 inlines across error returns and then warns of outputs that are set whenever they are used; the debug and
# sanitizer builds keep the warning.
target_compile_options(weir_options INTERFACE $<$<CONFIG:Release>:-Wno-maybe-uninitialized>)
target_compile_definitions(weir_options INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_include_directories(weir_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
if(WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()

# weir_room(PATH USES PATH...)
function(weir_room path)
  cmake_parse_arguments(ROOM "" "" "USES" ${ARGN})
  string(REPLACE "/" "_" name "${path}")
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${path}/*.c")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  list(FILTER tests INCLUDE REGEX "_test\\.c$")

  set(closure "") # every room below, each once
  foreach(used ${ROOM_USES})
    string(REPLACE "/" "_" used "${used}")
    get_property(below GLOBAL PROPERTY "weir_closure_${used}")
    list(APPEND closure ${below} ${used})
  endforeach()
  list(REMOVE_DUPLICATES closure)
  set_property(GLOBAL PROPERTY "weir_closure_${name}" "${closure}")

  if(NOT sources) # a floor that is still empty
    return()
  endif()
  add_library(room_${name} OBJECT ${sources})
  target_link_libraries(room_${name} PUBLIC weir_options weir_deps)

  set(objects "")
  foreach(room ${closure} ${name})
    if(TARGET room_${room})
      list(APPEND objects "$<TARGET_OBJECTS:room_${room}>")
    endif()
  endforeach()
  set_property(GLOBAL PROPERTY "weir_objects_${name}" "${objects}")
  if(WEIR_TESTS)
    foreach(file ${tests})
      get_filename_component(stem "${file}" NAME_WE)
      weir_test(${name}.${stem} ROOM ${name} SOURCES ${file})
    endforeach()
  endif()
endfunction()

# weir_test(NAME ROOM room SOURCES files...): a cmocka program over a room and all below it.
function(weir_test test)
  cmake_parse_arguments(T "" "ROOM" "SOURCES" ${ARGN})
  get_property(objects GLOBAL PROPERTY "weir_objects_${T_ROOM}")
  add_executable(test_${test} ${T_SOURCES} ${objects})
  target_link_libraries(test_${test} PRIVATE weir_options weir_deps ${CMOCKA_LIBRARIES})
  target_compile_options(test_${test} PRIVATE -Wno-missing-prototypes)
  target_compile_definitions(test_${test} PRIVATE WEIR_SOURCE_DIR="${CMAKE_SOURCE_DIR}" WEIR_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${test} COMMAND test_${test})
  set_tests_properties(${test} PROPERTIES TIMEOUT 300
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0;UBSAN_OPTIONS=print_stacktrace=1;WEIR_DUCKDB=${WEIR_DUCKDB_LIBRARY}")
endfunction()

# weir_program(NAME room): the executable over everything.
function(weir_program program room)
  get_property(objects GLOBAL PROPERTY "weir_objects_${room}")
  if(NOT objects)
    return()
  endif()
  add_executable(${program} ${objects})
  target_link_libraries(${program} PRIVATE weir_options weir_deps)
endfunction()
