#ifndef QKSERVE_BASE_STANDARD_STREAMS_H_
#define QKSERVE_BASE_STANDARD_STREAMS_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// Opens the descriptors 0, 1 and 2 if the parent left them closed. Otherwise the next file or
// socket would get one of these numbers, and printed text would go into it. Call it first in main.
//
// Standard input is then empty. Writes to standard output fail (EBADF) as on a closed descriptor,
// because a program's result must not vanish. Messages on standard error vanish.
void OpenClosedStandardStreams();

// Writes the printed text that is still in a buffer. The error of a full disk, or of a reader that
// is gone, may come only here. Errors are the operating system's.
absl::Status FlushStandardOutput();

// True if this is FlushStandardOutput's error for a pipe that its reader has closed, as head does
// when it has enough.
bool IsClosedPipe(const absl::Status& status);

// Writes `text` to standard output at once. If that fails, prints an error on standard error and
// returns false.
bool PrintOut(const std::string& text);

}  // namespace qkserve

#endif  // QKSERVE_BASE_STANDARD_STREAMS_H_
