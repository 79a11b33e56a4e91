#include "core/key_sets/storage/last_version.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/storage/checksum.h"

namespace qkserve {
namespace {

constexpr absl::string_view kLastVersionFile = ".last_version";

std::string Format(int64_t version) {
  const std::string digits = absl::StrCat(version);
  return absl::StrCat(digits, " ", ChecksumText(ChecksumOf(digits)), "\n");
}

}  // namespace

int64_t LastVersion::value() const {
  MutexLock lock(&mutex_);
  return value_;
}

void LastVersion::Raise(int64_t version) {
  MutexLock lock(&mutex_);
  value_ = std::max(value_, version);
}

absl::StatusOr<int64_t> LastVersion::Stored() const {
  const std::string path = paths_.Path(kLastVersionFile);
  const absl::StatusOr<std::string> text = ReadFile(paths_.files(), path, /*bytes_max=*/64);
  if (absl::IsNotFound(text.status())) return text.status();
  int64_t version = 0;
  if (text.ok()) {
    const absl::string_view digits = absl::string_view(*text).substr(0, text->find(' '));
    if (absl::SimpleAtoi(digits, &version) && version >= 0 && Format(version) == *text) {
      return version;
    }
  }
  return absl::DataLossError(path + ": is damaged");
}

absl::Status LastVersion::Store() {
  MutexLock lock(&file_mutex_);
  return ReplaceFile(paths_.files(), paths_.root(), kLastVersionFile, Format(value()));
}

}  // namespace qkserve
