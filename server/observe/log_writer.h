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
//  1. Write never blocks. Where kQueueLinesMax lines or kQueueBytesMax bytes wait, the line is
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

  // Does not wait for the thread: it may be in a write that never ends. Call Flush before.
  ~LogWriter();

  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // `line` with its end.
  void Write(std::string line);

  // Waits until all that was given before is written or dropped, for at most `patience`. False: it
  // is not.
  bool Flush(absl::Duration patience);

  // Since the beginning.
  int64_t lines_dropped() const;

 private:
  class Queue;

  const std::shared_ptr<Queue> queue_;  // also the thread's
};

// Writes `text` on this thread, and gives up what is left of it where the descriptor takes nothing
// for `patience`, or fails. Returns whether all was written.
bool WriteWithin(int descriptor, absl::string_view text, absl::Duration patience);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LOG_WRITER_H_
