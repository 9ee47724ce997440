# SPDX-License-Identifier: Apache-2.0
# A room is a folder of src/: an OBJECT library of its *.c (without *_test.c) and one cmocka program per *_test.c. A test links the
# objects of its room and of the rooms below, so a call upwards does not link.

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Werror
  -fno-math-errno -fno-trapping-math -fno-common -fvisibility=hidden -ffp-contract=off)
# gcc 12 at -O3 inlines across error returns and then warns of outputs that are set whenever they are used; the debug and
# sanitizer builds keep the warning.
target_compile_options(weir_options INTERFACE $<$<AND:$<CONFIG:Release>,$<C_COMPILER_ID:GNU>>:-Wno-maybe-uninitialized>)
target_compile_definitions(weir_options INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_include_directories(weir_options INTERFACE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/include")
if(WEIR_SANITIZE)
  target_compile_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(weir_options INTERFACE -fsanitize=${WEIR_SANITIZE})
  if(WEIR_SANITIZE MATCHES thread) # its calls hide from gcc what is set; the other sanitizers keep the warning
    target_compile_options(weir_options INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
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
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0;UBSAN_OPTIONS=print_stacktrace=1;LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/lsan.supp:print_suppressions=0;WEIR_DUCKDB=${WEIR_DUCKDB_LIBRARY}")
endfunction()

# weir_test_pg(NAMES...): tests that are there already, once more with their records in PostgreSQL (store/pg_testing.h).
function(weir_test_pg)
  foreach(test ${ARGN})
    if(TARGET test_${test})
      add_test(NAME ${test}.pg COMMAND test_${test})
      get_test_property(${test} ENVIRONMENT environment)
      set_tests_properties(${test}.pg PROPERTIES TIMEOUT 300 ENVIRONMENT "${environment};WEIR_TEST_PG=1")
    endif()
  endforeach()
endfunction()

# weir_program(NAME room): the executable over everything.
function(weir_program program room)
  get_property(objects GLOBAL PROPERTY "weir_objects_${room}")
  if(NOT objects)
    return()
  endif()
  add_executable(${program} ${objects})
  target_link_libraries(${program} PRIVATE weir_options weir_deps)
  set_target_properties(${program} PROPERTIES BUILD_RPATH "$ORIGIN/../lib/weir") # where `make install` puts the two libraries
endfunction()

# libweir.so: the room client and what it uses of the floors below, compiled for a shared library; only weir_* is visible.
function(weir_client_library)
  set(files "")
  foreach(part base/clock base/err base/fault base/log base/mem base/num base/os base/cgroup base/str base/vec base/arena
      codec/http codec/json codec/json_write io/address io/fetch io/http_client)
    list(APPEND files "${CMAKE_SOURCE_DIR}/src/${part}.c")
  endforeach()
  file(GLOB client CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/client/*.c")
  list(FILTER client EXCLUDE REGEX "_test\\.c$")
  add_library(libweir SHARED ${files} ${client})
  set_target_properties(libweir PROPERTIES OUTPUT_NAME weir PREFIX lib POSITION_INDEPENDENT_CODE ON
    BUILD_RPATH "$ORIGIN/weir" SOVERSION 0)
  target_link_libraries(libweir PRIVATE weir_options weir_deps)
  target_link_options(libweir PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)
endfunction()

# weir_fuzz(FILE): fuzz/NAME_fuzz.c over the rooms that it includes. With WEIR_FUZZ a libFuzzer program fuzz_NAME; else the ordinary
# test fuzz.NAME, which feeds it every file of fuzz/corpus/NAME.
function(weir_fuzz file)
  get_filename_component(name "${file}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name "${name}")
  set(corpus "${CMAKE_SOURCE_DIR}/fuzz/corpus/${name}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  file(STRINGS "${file}" includes REGEX "^#include \"[a-z].*/")
  set(objects "")
  foreach(include ${includes}) # rooms of one path upwards: the one that has most below it has all the others
    string(REGEX REPLACE "^#include \"(.*)/[^/]*$" "\\1" room "${include}")
    string(REPLACE "/" "_" room "${room}")
    get_property(below GLOBAL PROPERTY "weir_objects_${room}")
    list(LENGTH below count)
    list(LENGTH objects most)
    if(count GREATER most)
      set(objects "${below}")
    endif()
  endforeach()
  if(NOT objects)
    message(FATAL_ERROR "${file} includes no room of src/")
  endif()
  if(NOT EXISTS "${corpus}")
    message(FATAL_ERROR "${file} has no corpus: ${corpus}")
  endif()

  if(WEIR_FUZZ)
    add_executable(fuzz_${name} "${file}" ${objects})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} "${file}" "${CMAKE_SOURCE_DIR}/fuzz/replay.c" ${objects})
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} "${corpus}")
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120 ENVIRONMENT
      "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0;UBSAN_OPTIONS=print_stacktrace=1;LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/lsan.supp:print_suppressions=0;WEIR_DUCKDB=${WEIR_DUCKDB_LIBRARY}")
  endif()
  target_link_libraries(fuzz_${name} PRIVATE weir_options weir_deps)
endfunction()
