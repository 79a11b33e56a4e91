#include "server/lifecycle/stop_signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace qkserve {
namespace {

// The write end of a pipe. A handler writes the first stop signal to it. sigwait would not work,
// because OpenBLAS starts threads before main, and these threads do not block signals.
int stop_pipe = -1;
std::atomic_flag is_stop_signalled = ATOMIC_FLAG_INIT;

// Ends the process as if the signal had no handler. The kernel ignores a signal without a handler
// if the process is process 1 of a container. Such a process exits with the code that a shell shows
// for the signal.
void EndAtOnce(int number) {
  signal(number, SIG_DFL);
  sigset_t unblocked;
  sigemptyset(&unblocked);
  sigaddset(&unblocked, number);
  pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
  raise(number);
  constexpr int kShellSignalExit = 128;
  _exit(kShellSignalExit + number);
}

// Handles a stop signal. The first one is written to the pipe, and a later one ends the process. A
// later SIGHUP does nothing, because a terminal that closes may send several.
void OnStopSignal(int number) {
  const int saved_errno = errno;
  if (!is_stop_signalled.test_and_set()) {
    const auto byte = static_cast<char>(number);
    static_cast<void>(!write(stop_pipe, &byte, 1));
  } else if (number != SIGHUP) {
    EndAtOnce(number);
  }
  errno = saved_errno;
}

}  // namespace

void IgnoreWriteSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  // If this signal is ignored, a file that reaches its size limit fails one upload, but does not
  // end the server.
  signal(SIGXFSZ, SIG_IGN);
}

int CatchStopSignals() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  stop_pipe = ends[1];
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  // If SIGHUP is ignored already, as nohup asks for, it stays ignored.
  struct sigaction hangup = {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
  return ends[0];
}

bool IsStopping(int pipe) {
  pollfd readable = {.fd = pipe, .events = POLLIN, .revents = 0};
  return poll(&readable, 1, 0) > 0;
}

}  // namespace qkserve
