#include "server/observe/log_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

using testing::ElementsAre;

std::string Dropped(int64_t lines) { return absl::StrCat("dropped ", lines, "\n"); }

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

class LogWriterTest : public testing::Test {
 protected:
  LogWriterTest() { signal(SIGPIPE, SIG_IGN); }

  // Reads what the descriptor has now. The descriptor must not block.
  static std::string ReadNow(int descriptor) {
    std::string text;
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(descriptor, buffer, sizeof(buffer))) > 0) {
      text.append(buffer, static_cast<size_t>(size));
    }
    return text;
  }

  // Reads until the writer has no lines left, and then the rest of the pipe.
  static std::string ReadAll(int descriptor, LogWriter& writer) {
    std::string text;
    EXPECT_TRUE(Eventually([&] {
      text += ReadNow(descriptor);
      return writer.Flush(absl::ZeroDuration());
    }));
    return text + ReadNow(descriptor);
  }

  const TemporaryDirectory directory_{"log_writer_test"};
};

// A pipe whose read end does not block. Its descriptors stay open, because the thread of a stuck
// writer outlives the test.
struct Pipe {
  explicit Pipe(int write_flags = 0) {
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_GT(fcntl(ends[1], F_SETPIPE_SZ, kBytes), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, write_flags);
  }
  static constexpr int kBytes = 1 << 16;
  int ends[2] = {-1, -1};
};

TEST_F(LogWriterTest, WritesLinesInOrder) {
  const Pipe pipe;
  LogWriter writer(pipe.ends[1], Dropped);
  writer.Write("one\n");
  writer.Write("two\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(ReadNow(pipe.ends[0]), "one\ntwo\n");
  EXPECT_EQ(writer.lines_dropped(), 0);
}

TEST_F(LogWriterTest, AReaderThatStopsHoldsUpNobodyAndIsToldWhatItMissed) {
  // The flags were chosen by the parent process, and must not change.
  for (const int flags : {0, O_NONBLOCK}) {
    const Pipe pipe(flags);
    LogWriter writer(pipe.ends[1], Dropped);
    const std::string end(99, ' ');
    constexpr int64_t kCount = LogWriter::kQueueLinesMax + 2000;
    static_assert((kCount - LogWriter::kQueueLinesMax) * 100 > Pipe::kBytes);
    for (int64_t i = 0; i < kCount; ++i) writer.Write(absl::StrCat(i, end, "\n"));
    const int64_t dropped = writer.lines_dropped();
    EXPECT_GT(dropped, 0);
    EXPECT_FALSE(writer.Flush(absl::ZeroDuration()));

    std::string text = ReadAll(pipe.ends[0], writer);
    writer.Write("later\n");
    text += ReadAll(pipe.ends[0], writer);
    int64_t next = 0;
    int64_t said = 0;
    for (const std::string& line : Lines(text)) {
      int64_t number = 0;
      if (line == "later") {
        EXPECT_EQ(next, kCount);
        next = -1;
      } else if (absl::SimpleAtoi(line, &number)) {
        EXPECT_EQ(number, next++);
      } else {
        ASSERT_TRUE(absl::SimpleAtoi(line.substr(line.find(' ') + 1), &number)) << line;
        next += number;
        said += number;
      }
    }
    EXPECT_EQ(next, -1) << "the later line is missing";
    EXPECT_EQ(said, dropped);
    EXPECT_EQ(writer.lines_dropped(), dropped);
    EXPECT_EQ(fcntl(pipe.ends[1], F_GETFL) & O_NONBLOCK, flags);
  }
}

TEST_F(LogWriterTest, BytesThatWaitAreBoundedToo) {
  const Pipe pipe;
  LogWriter writer(pipe.ends[1], Dropped);
  writer.Write(std::string(LogWriter::kQueueBytesMax + 1, 'x'));
  EXPECT_EQ(writer.lines_dropped(), 1);
  const std::string line(LogWriter::kQueueBytesMax / 4, 'x');
  for (int i = 0; i < 6; ++i) writer.Write(line);
  EXPECT_GE(writer.lines_dropped(), 2);
}

TEST_F(LogWriterTest, TheEndDoesNotWaitForAWriteThatNeverEnds) {
  const Pipe pipe;
  {
    LogWriter writer(pipe.ends[1], Dropped);
    for (int i = 0; i < 2; ++i) writer.Write(std::string(Pipe::kBytes, 'x'));
    EXPECT_FALSE(writer.Flush(absl::Milliseconds(1)));
  }
  EXPECT_TRUE(Eventually([&] { return !ReadNow(pipe.ends[0]).empty(); }));
}

TEST_F(LogWriterTest, AReaderThatComesBackGetsLaterLines) {
  const std::string path = directory_.Path("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int first = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  LogWriter writer(open(path.c_str(), O_WRONLY | O_CLOEXEC), Dropped);
  close(first);
  writer.Write("lost\n");
  writer.Write("lost too\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(writer.lines_dropped(), 2);
  const int second = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  writer.Write("seen\n");
  EXPECT_EQ(ReadAll(second, writer), "dropped 2\nseen\n");
  close(second);
}

TEST_F(LogWriterTest, AfterAFullDiskLaterLinesComeAgain) {
  const int log = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(log, 0);
  LogWriter writer(log, Dropped);
  writer.Write("lost\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(writer.lines_dropped(), 1);
  const int file = open(directory_.Path("log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(dup3(file, log, O_CLOEXEC), log);
  close(file);
  writer.Write("seen\n");
  writer.Write("seen too\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_THAT(Lines(ReadFile(directory_.Path("log"))),
              ElementsAre("dropped 1", "seen", "seen too"));
  EXPECT_EQ(writer.lines_dropped(), 1);
}

// A limit on the file's size has the same effect as a disk that becomes full in the middle of a
// line.
TEST_F(LogWriterTest, ALineThatWasWrittenInPartIsFinishedFirst) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  LogWriter writer(open(directory_.Path("log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
                   Dropped);
  const rlimit few = {.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &few), 0);
  writer.Write("begun\n");
  writer.Write("lost\n");
  const bool flushed = writer.Flush(kPatience);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(flushed);
  EXPECT_EQ(ReadFile(directory_.Path("log")), "beg");
  writer.Write("seen\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_THAT(Lines(ReadFile(directory_.Path("log"))), ElementsAre("begun", "dropped 1", "seen"));
  EXPECT_EQ(writer.lines_dropped(), 1);
}

TEST_F(LogWriterTest, AClosedDescriptorDropsLines) {
  const int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
  LogWriter writer(log, Dropped);
  close(log);
  writer.Write("lost\n");
  ASSERT_TRUE(writer.Flush(kPatience));
  EXPECT_EQ(writer.lines_dropped(), 1);
}

TEST_F(LogWriterTest, WriteWithinGivesUp) {
  const Pipe pipe;
  EXPECT_TRUE(WriteWithin(pipe.ends[1], "one\n", absl::ZeroDuration()));
  EXPECT_FALSE(
      WriteWithin(pipe.ends[1], std::string(2 * Pipe::kBytes, 'x'), absl::Milliseconds(1)));
  close(pipe.ends[0]);
  EXPECT_FALSE(WriteWithin(pipe.ends[1], "two\n", kPatience));
}

}  // namespace
}  // namespace qkserve
