#include "demo/text_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"

namespace qkserve {
namespace {

absl::Status ReadError(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
}

}  // namespace

absl::StatusOr<TextFile> ReadTextFile(const std::string& path, size_t bytes_max) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), [](std::FILE* f) { return fclose(f); });
  if (file == nullptr) return ReadError(path, errno);

  TextFile result;
  std::array<char, 1 << 16> block;
  bool at_end = false;
  while (!at_end && result.text.size() <= bytes_max) {
    const size_t got = std::fread(block.data(), 1, block.size(), file.get());
    if (got < block.size() && std::ferror(file.get())) return ReadError(path, errno);
    result.text.append(block.data(), got);
    at_end = got < block.size();
  }
  result.complete = result.text.size() <= bytes_max;
  result.text.resize(std::min(result.text.size(), bytes_max));
  const size_t zero = result.text.find('\0');
  if (zero != std::string::npos) {
    const auto line = 1 + std::count(result.text.begin(), result.text.begin() + zero, '\n');
    return InvalidArgument(path, " is no text file: it has a zero byte, in line ", line);
  }
  return result;
}

}  // namespace qkserve
