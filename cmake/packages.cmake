# `cpack` makes three Debian packages: qkserve, qkctl, and libqkserve-dev, the C++ library.
set(CPACK_GENERATOR DEB)
# The version names the Debian release on which the package is built, for example 0.1.0+debian13,
# because libraries have other names in other releases. With the plus, the package of a newer
# release counts as newer.
cmake_host_system_information(RESULT distribution QUERY DISTRIB_INFO)
set(CPACK_DEBIAN_PACKAGE_VERSION
  ${PROJECT_VERSION}+${distribution_ID}${distribution_VERSION_ID})
set(CPACK_PACKAGE_CONTACT "qkserve developers <developers@qkserve.invalid>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/compress_docs.cmake)
set(CPACK_COMPONENTS_ALL server client dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_SERVER_PACKAGE_NAME qkserve)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION net)
# All builds of OpenBLAS have the same library name, but several threads may call only this build.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS libopenblas0-pthread)
set(CPACK_DEBIAN_SERVER_PACKAGE_SUGGESTS qkctl)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/server/conffiles;${PROJECT_SOURCE_DIR}/packaging/server/postinst;${PROJECT_SOURCE_DIR}/packaging/server/prerm;${PROJECT_SOURCE_DIR}/packaging/server/postrm)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_SERVER_DESCRIPTION
"dot-product attention scores as a network service
Answers queries against keys over gRPC: scores, softmax weights, context or the
top k. Concurrent requests are batched; keys come with the request or stay on
the server. This package has the server and its systemd unit.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME qkctl)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION net)
# This package has the authorities that qkctl --tls trusts.
set(CPACK_DEBIAN_CLIENT_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS qkserve)
set(CPACK_COMPONENT_CLIENT_DESCRIPTION
"client and load tool of the attention server qkserve
Scores queries against keys from .npy and .safetensors files, keeps key sets on
a server, shows its state, and measures its throughput and latencies.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libqkserve-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
# find_package(qkserve) and pkg-config need these packages.
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
  "libabsl-dev, libgrpc++-dev, libprotobuf-dev, libssl-dev, protobuf-compiler, protobuf-compiler-grpc")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS qkserve)
set(CPACK_COMPONENT_DEV_DESCRIPTION
"C++ client library of the attention server qkserve
The static library with its headers, for CMake (find_package(qkserve),
qkserve::client) and pkg-config (qkserve), and the proto files.")

# Before 0.2, qkctl and libqkserve-dev were one package, qkserve-client.
foreach(component CLIENT DEV)
  set(CPACK_DEBIAN_${component}_PACKAGE_BREAKS "qkserve-client (<< 0.2~)")
  set(CPACK_DEBIAN_${component}_PACKAGE_REPLACES "qkserve-client (<< 0.2~)")
endforeach()

# Installs the systemd unit, and the files that Debian wants in every package. They are only in
# packages. `cmake --install` without a component leaves them out.
install(FILES packaging/server/qkserve.service DESTINATION lib/systemd/system
  COMPONENT server EXCLUDE_FROM_ALL)
install(FILES packaging/server/qkserve.default DESTINATION /etc/default RENAME qkserve
  COMPONENT server EXCLUDE_FROM_ALL)
foreach(component server client dev)
  string(TOUPPER ${component} upper)
  set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  install(FILES packaging/copyright CHANGELOG.md
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  install(FILES packaging/lintian-overrides
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME ${package}
    COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()
install(DIRECTORY examples/cpp DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libqkserve-dev/examples
  COMPONENT dev EXCLUDE_FROM_ALL)

include(CPack)
