# `cmake --install` has three components: `server` has qkserve, `client` has qkctl, and `dev` has
# the client library with its headers, the proto files, and the files for CMake and pkg-config.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(qkserve_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/qkserve)

install(TARGETS qkserve COMPONENT server)
install(FILES packaging/qkserve.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT server)

install(TARGETS qkctl COMPONENT client)
install(FILES packaging/qkctl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT client)
# The scripts that complete qkctl's command lines are installed where the shells look for them. For
# zsh, the package (prefix /usr) uses the folder vendor-completions, because Debian's zsh does not
# look in /usr/share/zsh/site-functions.
set(qkctl_completion ${PROJECT_BINARY_DIR}/tools/qkctl/completion)
install(FILES ${qkctl_completion}/qkctl.bash RENAME qkctl
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT client)
install(FILES ${qkctl_completion}/qkctl.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT client)
install(CODE "
  if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    set(zsh_folder vendor-completions)
  else()
    set(zsh_folder site-functions)
  endif()
  file(INSTALL \"${qkctl_completion}/_qkctl\"
    DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${zsh_folder}\")"
  COMPONENT client)

# Programs link qkserve::client. The other two targets come with it.
set_target_properties(qkserve_client PROPERTIES EXPORT_NAME client)
set_target_properties(qkserve_base PROPERTIES EXPORT_NAME base)
set_target_properties(qkserve_proto PROPERTIES EXPORT_NAME proto)
foreach(target qkserve_client qkserve_base qkserve_proto)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} INTERFACE cxx_std_20)
endforeach()
install(TARGETS qkserve_client qkserve_base qkserve_proto EXPORT qkserve
  ARCHIVE COMPONENT dev)
install(EXPORT qkserve NAMESPACE qkserve:: FILE qkserveTargets.cmake
  DESTINATION ${qkserve_cmake_dir} COMPONENT dev)

# Installs only <qkserve/client.h> and <qkserve/channel.h> with all headers that they include, and
# <qkserve/version.h>.
install(DIRECTORY client/include/qkserve base/include/qkserve
                  ${PROJECT_BINARY_DIR}/base/include/qkserve
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/generated/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT dev FILES_MATCHING PATTERN "*.pb.h" PATTERN "*_mock.grpc.pb.h" EXCLUDE)
install(DIRECTORY proto/qkserve DESTINATION ${CMAKE_INSTALL_DATADIR}/qkserve/proto
  COMPONENT dev FILES_MATCHING PATTERN "*.proto")

configure_package_config_file(cmake/qkserveConfig.cmake.in
  ${PROJECT_BINARY_DIR}/qkserveConfig.cmake
  INSTALL_DESTINATION ${qkserve_cmake_dir}
  PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/qkserveConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/qkserveConfig.cmake
              ${PROJECT_BINARY_DIR}/qkserveConfigVersion.cmake
  DESTINATION ${qkserve_cmake_dir} COMPONENT dev)

# qkserve.pc works under any --prefix, because it finds the prefix from its own folder. Debian wants
# the file in the folder of the architecture, for builds for other machines.
set(qkserve_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(CMAKE_LIBRARY_ARCHITECTURE)
  set(qkserve_pc_dir lib/${CMAKE_LIBRARY_ARCHITECTURE}/pkgconfig)
endif()
file(RELATIVE_PATH qkserve_prefix_from_pc /${qkserve_pc_dir} /)
string(REGEX REPLACE "/$" "" qkserve_prefix_from_pc "${qkserve_prefix_from_pc}")
configure_file(cmake/qkserve.pc.in ${PROJECT_BINARY_DIR}/qkserve.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/qkserve.pc DESTINATION ${qkserve_pc_dir} COMPONENT dev)
