#ifndef QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
#define QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_

namespace qkserve {

// The signals of the process.

// Writing to a pipe that nobody reads any more is an error and does not end the process. A
// background process may write to its terminal.
void IgnoreWriteSignals();

// Catches SIGTERM, SIGINT and SIGHUP. Returns the read end of a pipe that the first of them is
// written to as a byte, or -1. After it a SIGTERM or SIGINT ends the process at once, with exit
// code 143 or 130 as a shell shows it, also as process 1 of a container. Call it once.
int CatchStopSignals();

// True once one of them has come. `pipe` is what CatchStopSignals returned.
bool IsStopping(int pipe);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
