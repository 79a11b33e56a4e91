# Hardens the release build with GCC or clang, because that build is shipped. The options are set
# for all targets, because precompiled headers need the options of the files that use them.
#
#   _FORTIFY_SOURCE           glibc checks the sizes of buffers that the compiler knows
#   -fstack-protector-strong  a stack frame that was written past its end ends the process
#   -fstack-clash-protection  a large frame cannot jump over the guard page below the stack
#   -fcf-protection           marks the targets of indirect jumps, for CPUs that check them
#   -fPIE -pie                a random address for the program itself
#   -z relro -z now           all symbols are bound at the start; their table is read-only then
#
# tests/deploy/hardening_test.sh looks for these options in the programs. Builds with sanitizers
# leave these options out, because sanitizers check more and do not work together with
# _FORTIFY_SOURCE.
if(QKSERVE_SANITIZER OR NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  return()
endif()
# _FORTIFY_SOURCE is undefined first, because some distributions' compilers define it with another
# value.
add_compile_options(
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>
  $<$<CONFIG:Release>:-fstack-protector-strong> $<$<CONFIG:Release>:-fstack-clash-protection>
  $<$<CONFIG:Release>:-fPIE>)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options($<$<CONFIG:Release>:-fcf-protection>)
endif()
add_link_options(
  $<$<CONFIG:Release>:-pie> $<$<CONFIG:Release>:LINKER:-z,relro>
  $<$<CONFIG:Release>:LINKER:-z,now>)
