#ifndef QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_
#define QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log.h"

namespace qkserve {

enum class LogFormat { kText, kJson, kJournald };

// Returns kJournald if standard error leads to systemd's journal, otherwise kText.
LogFormat DefaultLogFormat();

// The value of --log_format; see base/flags.h.
bool ParseFlag(absl::string_view text, LogFormat* format, std::string* error);
std::string FlagText(LogFormat format);

// Returns the event as one line, without a line feed. Nothing in the event can begin another line.
//
//   text:     2026-01-31T12:00:00.000000Z info message name=value name="two words"
//   JSON:     {"time": .., "level": .., "message": .., name: value ..}
//   journald: <6>message name=value name="two words"
//
// The journal adds the time itself. It reads the number as the line's priority; see syslog(3).
//
// JSON is always valid, because bytes that are not UTF-8 become U+FFFD.
std::string FormatLogLine(LogFormat format, absl::Time time, const LogEvent& event);

// The log of the process, on standard error. Thread-safe after StartLogWriter.

// Starts a thread that writes the lines from now on, so that no caller waits (see LogWriter). The
// line that says how many lines were dropped has the format `format`. Called once. Before this
// call, or if the system gives no thread, WriteToLog writes on its caller's thread and waits for up
// to a second.
void StartLogWriter(LogFormat format);

// Writes a line with its line feed.
void WriteToLog(std::string line);

// Waits until all lines given to WriteToLog are written or dropped, for up to a second. Called at
// the end of the process.
void FlushLog();

// The number of lines dropped since the process began.
int64_t LogLinesDropped();

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_
