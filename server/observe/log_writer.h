#ifndef QKSERVE_SERVER_OBSERVE_LOG_WRITER_H_
#define QKSERVE_SERVER_OBSERVE_LOG_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qkserve {

// Writes lines to a descriptor on a separate thread, so that no caller ever waits for the reader of
// the log.
//
//  1. Write never blocks. If kQueueLinesMax lines or kQueueBytesMax bytes wait, the line is
//     dropped.
//  2. A line that cannot be written (a full disk, a reader that went) is dropped. The writer still
//     tries the next line.
//  3. Dropped lines are counted. Once writing works again, a line in their place says how many are
//     missing.
//  4. Lines are written whole and in order. If a part of a line was written, the line is finished
//     before any other.
//
// The descriptor's flags are left alone, because other processes may share it. Thread-safe.
class LogWriter {
 public:
  // The most lines that wait, and the most bytes. A line has some hundred bytes. These limits hold
  // minutes of a busy log in little memory.
  static constexpr size_t kQueueLinesMax = 4096;
  static constexpr size_t kQueueBytesMax = size_t{1} << 20;

  // Makes a line that says how many lines are missing before it. The line ends with a line feed.
  using DroppedLine = std::function<std::string(int64_t lines)>;

  // The descriptor must stay open. Throws std::system_error if the system gives no thread.
  LogWriter(int descriptor, DroppedLine dropped_line);

  // Does not wait for the thread, because a write may never end. Call Flush first.
  ~LogWriter();

  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Takes a line with its line feed. Never blocks.
  void Write(std::string line);

  // Waits until every earlier line is written or dropped, for at most `time_max`. Returns false if
  // some lines still wait.
  bool Flush(absl::Duration time_max);

  // The number of lines dropped by this writer.
  int64_t lines_dropped() const;

 private:
  class Queue;

  const std::shared_ptr<Queue> queue_;  // shared with the thread
};

// Writes `text` on this thread. Waits for a slow descriptor, for at most `time_max` in all. Returns
// true if all was written, or false if that time is over or the descriptor fails.
bool WriteWithin(int descriptor, absl::string_view text, absl::Duration time_max);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LOG_WRITER_H_
