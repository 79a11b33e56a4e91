#ifndef QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
#define QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_

namespace qkserve {

// The signals of the process.

// Ignores signals that writing can cause. Afterwards, writing to a pipe that nobody reads is an
// error and does not end the process. A background process may write to its terminal.
void IgnoreWriteSignals();

// Catches SIGTERM, SIGINT and SIGHUP. Returns the read end of a pipe, or -1 on an error. The pipe
// gets the first of these signals as a byte. A later SIGTERM or SIGINT ends the process at once.
// The exit code is then 143 or 130, as a shell shows it, even for process 1 of a container. Called
// once.
int CatchStopSignals();

// True once a stop signal has come. `pipe` is what CatchStopSignals returned.
bool IsStopping(int pipe);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_STOP_SIGNALS_H_
