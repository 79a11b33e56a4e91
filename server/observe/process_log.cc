#include "server/observe/process_log.h"

#include <unistd.h>

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/observe/log_writer.h"

namespace qkserve {
namespace {

// A reader that is slow for a moment gets the last lines; one that has stopped holds the end of the
// process for no longer than this.
constexpr absl::Duration kPatience = absl::Seconds(1);

// Null until StartLogWriter. Never destroyed: gRPC's threads may log until the process ends.
LogWriter* log_writer = nullptr;

}  // namespace

void StartLogWriter(LogFormat format) {
  const auto dropped_line = [format](int64_t lines) {
    const LogEvent event = {LogLevel::kWarning,
                            "lines of the log were dropped: it could not be written, or not as "
                            "fast as they came",
                            {{"dropped", lines}}};
    return absl::StrCat(FormatLogLine(format, absl::Now(), event), "\n");
  };
  try {
    log_writer = new LogWriter(STDERR_FILENO, dropped_line);
  } catch (const std::system_error&) {
    // Lines go on to be written where they arise. The start fails soon, for want of threads.
  }
}

void WriteToLog(std::string line) {
  if (log_writer != nullptr) {
    log_writer->Write(std::move(line));
  } else {
    WriteWithin(STDERR_FILENO, line, kPatience);
  }
}

void FlushLog() {
  if (log_writer != nullptr) log_writer->Flush(kPatience);
}

int64_t LogLinesDropped() { return log_writer != nullptr ? log_writer->lines_dropped() : 0; }

}  // namespace qkserve
