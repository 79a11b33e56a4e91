#ifndef QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_
#define QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_

#include <cstdint>
#include <string>

#include "server/observe/log_format.h"

namespace qkserve {

// The log of the process, on standard error. Thread-safe after StartLogWriter.

// From now on lines are written by a thread and nobody waits for them; see LogWriter. Before that,
// or where there is no thread to be had, WriteToLog writes itself and waits for up to a second.
// Call it once. `format` is that of the line that says how many lines were dropped.
void StartLogWriter(LogFormat format);

// `line` with its end.
void WriteToLog(std::string line);

// Waits until what was given to WriteToLog is written, for up to a second. For the end of the
// process.
void FlushLog();

// Lines that were not written, since the beginning.
int64_t LogLinesDropped();

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_PROCESS_LOG_H_
