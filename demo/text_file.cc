#include "demo/text_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/invalid_argument.h"

namespace qkserve {
namespace {

absl::Status ReadError(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
}

}  // namespace

absl::StatusOr<TextFile> ReadTextFile(const std::string& path, const TextLimits& limits) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), [](std::FILE* f) { return fclose(f); });
  if (file == nullptr) return ReadError(path, errno);

  std::string bytes;
  std::array<char, 1 << 16> block;
  bool at_end = false;
  while (!at_end && static_cast<int64_t>(bytes.size()) < limits.bytes_max) {
    const size_t got = std::fread(block.data(), 1, block.size(), file.get());
    if (got < block.size() && std::ferror(file.get())) return ReadError(path, errno);
    bytes.append(block.data(), got);
    at_end = got < block.size();
  }

  TextFile text;
  absl::string_view rest = bytes;
  for (int64_t number = 1; !rest.empty() && text.lines.size() < limits.lines_max; ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    absl::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (absl::StrContains(line, '\0')) {
      return InvalidArgument(path, " is no text file: it has zero bytes, near line ", number);
    }
    const bool is_cut = line.size() > limits.line_bytes_max;
    line = absl::StripAsciiWhitespace(line.substr(0, limits.line_bytes_max));
    if (line.empty()) continue;
    text.lines.emplace_back(line);
    text.numbers.push_back(number);
    text.cut_lines += is_cut ? 1 : 0;
  }
  text.complete = at_end && rest.empty();
  if (text.lines.empty()) return InvalidArgument(path, " has no line with anything in it");
  return text;
}

}  // namespace qkserve
