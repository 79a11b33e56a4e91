#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <initializer_list>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

// Runs the check in a child process, whose exit code tells the result.
template <typename Check>
void ExpectInChild(const Check& check) {
  EXPECT_EXIT(std::_Exit(check() ? 0 : 1), testing::ExitedWithCode(0), "");
}

int NextDescriptor() { return open("/dev/null", O_RDWR | O_CLOEXEC); }

TEST(StandardStreamsTest, ClosedOnesAreTakenSoThatNoFileGetsTheirNumber) {
  ExpectInChild([] {
    for (const int stream : {0, 1, 2}) close(stream);
    OpenClosedStandardStreams();
    return NextDescriptor() > 2;
  });
}

TEST(StandardStreamsTest, OutputToClosedOnesFailsAndMessagesVanish) {
  ExpectInChild([] {
    for (const int stream : {1, 2}) close(stream);
    OpenClosedStandardStreams();
    return write(2, "x", 1) == 1 && write(1, "x", 1) < 0 && errno == EBADF;
  });
}

TEST(StandardStreamsTest, WhatALibraryOpenedBeforeMainDoesNotStay) {
  ExpectInChild([] {
    close(2);
    if (NextDescriptor() != 2) return false;
    OpenClosedStandardStreams();
    return (fcntl(2, F_GETFD) & FD_CLOEXEC) == 0;
  });
}

TEST(StandardStreamsTest, OpenOnesStay) {
  ExpectInChild([] {
    int ends[2];
    if (pipe(ends) != 0) return false;
    dup2(ends[1], 1);
    OpenClosedStandardStreams();
    char byte = 0;
    return write(1, "x", 1) == 1 && read(ends[0], &byte, 1) == 1;
  });
}

TEST(StandardStreamsTest, PrintOutTellsThatTheDiskIsFull) {
  EXPECT_EXIT(
      {
        dup2(open("/dev/full", O_WRONLY), 1);
        std::_Exit(PrintOut("text\n") ? 0 : 3);
      },
      testing::ExitedWithCode(3), "standard output: cannot write: No space left on device");
}

}  // namespace
}  // namespace qkserve
