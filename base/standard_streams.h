#ifndef QKSERVE_BASE_STANDARD_STREAMS_H_
#define QKSERVE_BASE_STANDARD_STREAMS_H_

#include <string>

#include "absl/status/status.h"

namespace qkserve {

// Opens the descriptors 0, 1 and 2 if the parent left them closed. Otherwise the next file or
// socket would get such a number, and printed text would go into it. Call it first in main.
//
// Standard input is then empty. Writes to standard output fail (EBADF) as on a closed descriptor,
// because it takes a program's result. Messages on standard error vanish.
void OpenClosedStandardStreams();

// Writes what was printed before and is still in a buffer. A full disk and a reader that is gone
// show only here. The operating system's errors.
absl::Status FlushStandardOutput();

// Writes `text` to standard output at once. Returns false if it could not be written. Standard
// error then says so.
bool PrintOut(const std::string& text);

}  // namespace qkserve

#endif  // QKSERVE_BASE_STANDARD_STREAMS_H_
