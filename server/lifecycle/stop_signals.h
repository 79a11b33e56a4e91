#ifndef QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
#define QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_

namespace qkserve {

// The signals of the process.

// From now on, writing to a pipe that nobody reads is an error and does not end the process. A
// background process may write to its terminal.
void IgnoreWriteSignals();

// Catches SIGTERM, SIGINT and SIGHUP. Returns the read end of a pipe, which gets the first of them
// as a byte, or -1. A later SIGTERM or SIGINT ends the process at once. The exit code is then 143
// or 130, as a shell shows it, also for process 1 of a container. Called once.
int CatchStopSignals();

// True once such a signal has come. `pipe` is what CatchStopSignals returned.
bool IsStopping(int pipe);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
