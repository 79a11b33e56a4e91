#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_UPLOAD_PROGRESS_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_UPLOAD_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"

namespace qkserve {

// "[#####.....]  50%  1.5 of 3.0 GiB": how far an upload is, its rate and the time that is left.
// `elapsed` is the time that it took so far.
std::string UploadProgressText(int64_t sent_bytes, int64_t total_bytes, absl::Duration elapsed);

// A line on standard error that is overwritten ten times a second, where that is a terminal.
// Nothing otherwise. Gone when this is destroyed.
//
// Thread-compatible.
class UploadProgressLine {
 public:
  explicit UploadProgressLine(const Clock* clock);
  UploadProgressLine(const UploadProgressLine&) = delete;
  UploadProgressLine& operator=(const UploadProgressLine&) = delete;
  ~UploadProgressLine();

  void Show(int64_t sent_bytes, int64_t total_bytes);

 private:
  const Clock* const clock_;
  const bool is_terminal_;
  const absl::Time begin_;
  absl::Time next_;
};

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_UPLOAD_PROGRESS_H_
