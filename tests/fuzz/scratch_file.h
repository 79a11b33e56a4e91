#ifndef QKSERVE_TESTS_FUZZ_SCRATCH_FILE_H_
#define QKSERVE_TESTS_FUZZ_SCRATCH_FILE_H_

#include <fstream>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {

// A file that is rewritten for each input. If it is static, it is removed when the process ends.
class ScratchFile {
 public:
  // The ending of `name` tells readers the format.
  explicit ScratchFile(absl::string_view name) : path_(folder_.Path(name)) {}

  const std::string& path() const { return path_; }

  void Write(absl::string_view contents) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
    file.close();
    Require(file.good(), "the scratch file could be written");
  }

 private:
  const TemporaryDirectory folder_{"qkserve-fuzz"};
  const std::string path_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_SCRATCH_FILE_H_
