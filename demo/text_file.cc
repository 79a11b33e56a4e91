#include "demo/text_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {
namespace {

// Collects lines from pieces of a file.
class LineCollector {
 public:
  explicit LineCollector(const TextLimits& limits) : limits_(limits) {}

  bool Full() const { return file_.lines.size() >= limits_.lines_max; }
  int64_t LineNumber() const { return number_; }

  void Add(absl::string_view piece) {
    while (!Full()) {
      const size_t end = piece.find('\n');
      Extend(piece.substr(0, end));
      if (end == absl::string_view::npos) return;
      EndLine();
      piece.remove_prefix(end + 1);
    }
    dropped_ |= !piece.empty();
  }

  // `at_end`: the whole file was added.
  TextFile Finish(bool at_end) && {
    if (!Full()) EndLine();  // the last line may lack its newline
    file_.complete = at_end && !dropped_;
    return std::move(file_);
  }

 private:
  void Extend(absl::string_view text) {
    const size_t room = limits_.line_bytes_max - line_.size();
    line_is_cut_ |= text.size() > room;
    line_.append(text.data(), std::min(room, text.size()));
  }

  void EndLine() {
    absl::StripAsciiWhitespace(&line_);
    if (!line_.empty()) {
      file_.lines.push_back(line_);
      file_.numbers.push_back(number_);
      if (line_is_cut_) ++file_.cut_lines;
    }
    line_.clear();
    line_is_cut_ = false;
    ++number_;
  }

  const TextLimits limits_;
  TextFile file_;
  std::string line_;
  bool line_is_cut_ = false;
  bool dropped_ = false;  // text beyond the last line that was wanted
  int64_t number_ = 1;
};

absl::Status ReadError(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
}

}  // namespace

absl::StatusOr<TextFile> ReadTextFile(const std::string& path, const TextLimits& limits) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), [](std::FILE* f) { return fclose(f); });
  if (file == nullptr) return ReadError(path, errno);

  LineCollector collector(limits);
  std::array<char, 1 << 16> block;
  int64_t bytes_read = 0;
  bool at_end = false;
  while (!at_end && !collector.Full() && bytes_read < limits.bytes_max) {
    const size_t got = std::fread(block.data(), 1, block.size(), file.get());
    if (got < block.size() && std::ferror(file.get())) return ReadError(path, errno);
    const absl::string_view piece(block.data(), got);
    if (absl::StrContains(piece, '\0')) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " is no text file: it has zero bytes, near line ", collector.LineNumber()));
    }
    collector.Add(piece);
    bytes_read += static_cast<int64_t>(got);
    at_end = got < block.size();
  }
  TextFile text = std::move(collector).Finish(at_end);
  if (text.lines.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has no line with anything in it"));
  }
  return text;
}

}  // namespace qkserve
