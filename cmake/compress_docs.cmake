# CPack runs this on the files that it is about to pack, because Debian wants manual pages and the
# changelog compressed.
set(share ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share)
file(GLOB_RECURSE pages ${share}/man/*)
file(GLOB changelogs ${share}/doc/*/CHANGELOG.md)
foreach(changelog IN LISTS changelogs)
  string(REPLACE CHANGELOG.md changelog page ${changelog})
  file(RENAME ${changelog} ${page})
  list(APPEND pages ${page})
endforeach()
# -n leaves out the time, so that the same sources make the same package.
execute_process(COMMAND gzip -9n ${pages} COMMAND_ERROR_IS_FATAL ANY)
