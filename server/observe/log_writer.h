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

// Writes lines to a descriptor on a thread of its own, so that no caller ever waits for the reader
// of the log.
//
//  1. Write never blocks. If kQueueLinesMax lines or kQueueBytesMax bytes wait, the line is
//     dropped.
//  2. A line that cannot be written (a full disk, a reader that went) is dropped; the next one is
//     tried again.
//  3. Dropped lines are counted. A line in their place says how many are missing, once writing
//     works again.
//  4. Lines are written whole and in order. A line of which a part was written is finished before
//     any other.
//
// The descriptor's flags are left alone: other processes may share it. Thread-safe.
class LogWriter {
 public:
  // Some hundred bytes a line: minutes of a busy log, and little memory.
  static constexpr size_t kQueueLinesMax = 4096;
  static constexpr size_t kQueueBytesMax = size_t{1} << 20;

  // Makes the line, with its end, that says how many are missing before it.
  using DroppedLine = std::function<std::string(int64_t lines)>;

  // The descriptor must stay open. Throws std::system_error where there is no thread to be had.
  LogWriter(int descriptor, DroppedLine dropped_line);

  // Does not wait for the thread, which may be in a write that never ends. Call Flush before.
  ~LogWriter();

  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Takes a line, its line feed included. Never blocks.
  void Write(std::string line);

  // Waits for at most `time_max` until every line given before is written or dropped. False: some
  // still wait.
  bool Flush(absl::Duration time_max);

  // Lines dropped since this was made.
  int64_t lines_dropped() const;

 private:
  class Queue;

  const std::shared_ptr<Queue> queue_;  // also the thread's
};

// Writes `text` on this thread. Gives up the rest if the descriptor takes nothing for `time_max`,
// or fails. True if all was written.
bool WriteWithin(int descriptor, absl::string_view text, absl::Duration time_max);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LOG_WRITER_H_
