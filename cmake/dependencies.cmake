# SPDX-License-Identifier: Apache-2.0
# Libraries. Linked statically where Debian has an archive, so that a start costs no relocations; DuckDB is opened with dlopen on
# first use (its header comes from the npm package of the same interface). tools/setup puts the fetched ones under WEIR_THIRD_PARTY.

set(WEIR_THIRD_PARTY "${CMAKE_SOURCE_DIR}/build/third_party" CACHE PATH "what tools/setup unpacked")
option(WEIR_TESTS "build the tests" ON)
option(WEIR_FUZZ "build the fuzz targets (clang)" OFF)
option(WEIR_BENCH "build the benchmarks" OFF)
set(WEIR_SANITIZE "" CACHE STRING "value of -fsanitize, e.g. address,undefined")

set(WEIR_DUCKDB_LIBRARY "${WEIR_THIRD_PARTY}/duckdb/libduckdb.so")
foreach(needed "duckdb/duckdb.h" "duckdb/libduckdb.so" "yyjson/include/yyjson.h")
  if(NOT EXISTS "${WEIR_THIRD_PARTY}/${needed}")
    message(FATAL_ERROR "${WEIR_THIRD_PARTY}/${needed} is missing; run tools/setup first (make does)")
  endif()
endforeach()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA REQUIRED cmocka)

# Archives where there are some; a shared library otherwise.
function(weir_find out name)
  find_library(${out} NAMES lib${name}.a ${name} REQUIRED)
endfunction()
weir_find(WEIR_SQLITE sqlite3)
weir_find(WEIR_YAML yaml)
weir_find(WEIR_SSL ssl)
weir_find(WEIR_CRYPTO crypto)
weir_find(WEIR_NGHTTP2 nghttp2)
weir_find(WEIR_XXHASH xxhash)
weir_find(WEIR_ZSTD zstd)
weir_find(WEIR_ZLIB z)
find_library(WEIR_YYJSON NAMES libyyjson.a yyjson PATHS "${WEIR_THIRD_PARTY}/yyjson/lib" NO_DEFAULT_PATH REQUIRED)

add_library(weir_deps INTERFACE)
target_include_directories(weir_deps SYSTEM INTERFACE "${WEIR_THIRD_PARTY}/duckdb" "${WEIR_THIRD_PARTY}/yyjson/include")
target_compile_definitions(weir_deps INTERFACE WEIR_DUCKDB_PATH="${WEIR_DUCKDB_LIBRARY}")
target_link_libraries(weir_deps INTERFACE
  ${WEIR_SQLITE} ${WEIR_YAML} ${WEIR_YYJSON} ${WEIR_XXHASH} ${WEIR_ZSTD} ${WEIR_ZLIB} ${WEIR_NGHTTP2} ${WEIR_SSL} ${WEIR_CRYPTO} Threads::Threads ${CMAKE_DL_LIBS} m)

# ONNX Runtime is opened with dlopen when a model needs it. Wanted, not needed: without its C header (tools/setup says why) it is off.
set(WEIR_ONNXRUNTIME_LIBRARY "${WEIR_THIRD_PARTY}/onnxruntime/libonnxruntime.so.1")
function(weir_onnxruntime target)
  if(EXISTS "${WEIR_THIRD_PARTY}/onnxruntime/onnxruntime_c_api.h")
    target_include_directories(${target} SYSTEM PRIVATE "${WEIR_THIRD_PARTY}/onnxruntime")
    target_compile_definitions(${target} PRIVATE WEIR_ONNXRUNTIME_PATH="${WEIR_ONNXRUNTIME_LIBRARY}")
  else()
    message(STATUS "ONNX Runtime is off: no C header in ${WEIR_THIRD_PARTY}/onnxruntime")
  endif()
endfunction()
