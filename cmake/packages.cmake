# `cpack` makes two Debian packages: qkserve, and qkserve-client (qkctl and the C++ library).
set(CPACK_GENERATOR DEB)
# For the Debian that it is built on, for example 0.1.0+debian13: libraries have other names in
# another one, and a plus makes the package of a newer Debian the newer package.
cmake_host_system_information(RESULT distribution QUERY DISTRIB_INFO)
set(CPACK_DEBIAN_PACKAGE_VERSION
  ${PROJECT_VERSION}+${distribution_ID}${distribution_VERSION_ID})
set(CPACK_PACKAGE_CONTACT "qkserve developers <developers@qkserve.invalid>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/compress_docs.cmake)
set(CPACK_COMPONENTS_ALL server client)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_SERVER_PACKAGE_NAME qkserve)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION net)
# Any build of OpenBLAS has the library's name, but only this one may be called by several threads.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS libopenblas0-pthread)
set(CPACK_DEBIAN_SERVER_PACKAGE_SUGGESTS qkserve-client)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/server/conffiles;${PROJECT_SOURCE_DIR}/packaging/server/postinst;${PROJECT_SOURCE_DIR}/packaging/server/prerm;${PROJECT_SOURCE_DIR}/packaging/server/postrm)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_SERVER_DESCRIPTION
"dot-product attention scores as a network service
Answers queries against keys over gRPC: scores, softmax weights, context or the
top k. Concurrent requests are batched; keys come with the request or stay on
the server. This package has the server and its systemd unit.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME qkserve-client)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT_PACKAGE_PROVIDES "libqkserve-dev (= ${PROJECT_VERSION})")
# find_package(qkserve) needs these.
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS
  "libabsl-dev, libgrpc++-dev, libprotobuf-dev, libssl-dev, protobuf-compiler, protobuf-compiler-grpc")
# The authorities that qkctl --tls trusts.
set(CPACK_DEBIAN_CLIENT_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_COMPONENT_CLIENT_DESCRIPTION
"client tool and C++ library of the attention server qkserve
The tool qkctl (scores, key sets, load), the library with its headers and CMake
package (find_package(qkserve), qkserve::client), and the proto files.")

# Only a package has these, and no `cmake --install` of everything: the unit, and the files that
# Debian wants of every package.
install(FILES packaging/server/qkserve.service DESTINATION lib/systemd/system
  COMPONENT server EXCLUDE_FROM_ALL)
install(FILES packaging/server/qkserve.default DESTINATION /etc/default RENAME qkserve
  COMPONENT server EXCLUDE_FROM_ALL)
foreach(component server client)
  string(TOUPPER ${component} upper)
  install(FILES packaging/copyright CHANGELOG.md
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME}
    COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()

include(CPack)
