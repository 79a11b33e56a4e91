#include "demo/passages.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// A passage of several sentences ends after the sentence that brings it to this size, because
// shorter passages say too little alone.
constexpr size_t kPassageBytesMin = 60;
// A longer passage is cut at a space.
constexpr size_t kPassageBytesMax = 400;
constexpr size_t kProseLinesMax = 40;

// Removes "- ", "* ", "+ " or "12. " from the front of an item of a list.
bool ConsumeListMark(absl::string_view* line) {
  size_t digits = 0;
  while (digits < line->size() && absl::ascii_isdigit((*line)[digits])) ++digits;
  const bool is_bullet = !line->empty() && absl::StrContains("-*+", (*line)[0]);
  const bool is_number = digits > 0 && digits < 4 && absl::StartsWith(line->substr(digits), ". ");
  if (!is_number && !(is_bullet && absl::StartsWith(line->substr(1), " "))) return false;
  line->remove_prefix(is_number ? digits + 2 : 2);
  *line = absl::StripLeadingAsciiWhitespace(*line);
  return true;
}

bool HasWords(absl::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](unsigned char c) { return c >= 0x80 || absl::ascii_isalnum(c); });
}

// Finds the first end of a sentence at or after `from`. Returns the beginning of the next sentence,
// or npos.
size_t NextSentence(absl::string_view text, size_t from) {
  for (size_t i = text.find_first_of(".!?", from); i != absl::string_view::npos;
       i = text.find_first_of(".!?", i + 1)) {
    const size_t space = text.find_first_not_of("\"')*`", i + 1);
    if (space == absl::string_view::npos || text[space] != ' ') continue;
    const size_t next = text.find_first_not_of(' ', space);
    if (next != absl::string_view::npos && !absl::ascii_islower(text[next])) return next;
  }
  return absl::string_view::npos;
}

bool IsInsideCharacter(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// Returns the size of the passage that `text` begins with.
size_t PassageSize(absl::string_view text) {
  // Only these bytes are searched, so that the time for a long text is linear in its length.
  const absl::string_view window = text.substr(0, kPassageBytesMax);
  const size_t next = NextSentence(window, std::min(window.size(), kPassageBytesMin));
  if (next != absl::string_view::npos) return next;
  if (text.size() <= kPassageBytesMax) return text.size();
  const size_t space = window.rfind(' ');
  if (space != absl::string_view::npos && space > 0) return space + 1;
  size_t cut = kPassageBytesMax;
  // At most three bytes follow the first byte of a character.
  while (cut > kPassageBytesMax - 3 && IsInsideCharacter(text[cut])) --cut;
  return cut;
}

class Cutter {
 public:
  explicit Cutter(absl::string_view file_name)
      : file_name_(file_name), is_markdown_(absl::EndsWithIgnoreCase(file_name, ".md")) {}

  void Add(absl::string_view line) {
    ++number_;
    line = absl::StripAsciiWhitespace(line);
    if (is_markdown_ && absl::StartsWith(line, "```")) {
      EndBlock();
      is_code_ = !is_code_;
    } else if (!HasWords(line)) {  // blank, or only a rule
      EndBlock();
    } else if (is_code_) {
      AddPassage(number_, line);
    } else if (is_markdown_ && absl::StartsWith(line, "#")) {
      EndBlock();
      heading_ =
          std::string(absl::StripLeadingAsciiWhitespace(line.substr(line.find_first_not_of('#'))));
    } else if (is_markdown_ && absl::ConsumePrefix(&line, "|")) {
      EndBlock();
      AddPassage(number_, absl::StripSuffix(line, "|"));
    } else {
      if (ConsumeListMark(&line)) EndBlock();
      block_.emplace_back(number_, line);
    }
  }

  std::vector<Passage> Finish() {
    EndBlock();
    return std::move(passages_);
  }

 private:
  using Line = std::pair<int64_t, absl::string_view>;

  void EndBlock() {
    if (!is_markdown_ && block_.size() > kProseLinesMax) {
      for (const auto& [number, line] : block_) AddSentences({{number, line}});
    } else {
      AddSentences(block_);
    }
    block_.clear();
  }

  void AddSentences(const std::vector<Line>& lines) {
    std::string text;
    std::vector<size_t> begins;  // the place in `text` at which each line begins
    for (const auto& [number, line] : lines) {
      begins.push_back(text.size());
      absl::StrAppend(&text, line, " ");
    }
    size_t line = 0;
    for (size_t begin = 0, size = 0; begin < text.size(); begin += size) {
      size = PassageSize(absl::string_view(text).substr(begin));
      while (line + 1 < begins.size() && begins[line + 1] <= begin) ++line;
      AddPassage(lines[line].first, absl::string_view(text).substr(begin, size));
    }
  }

  void AddPassage(int64_t number, absl::string_view text) {
    const std::string plain =
        is_markdown_ ? absl::StrReplaceAll(text, {{"**", ""}, {"`", ""}}) : std::string(text);
    const absl::string_view stripped = absl::StripAsciiWhitespace(plain);
    if (!HasWords(stripped)) return;
    passages_.push_back({absl::StrCat(file_name_, ":", number), std::string(stripped), heading_});
  }

  const absl::string_view file_name_;
  const bool is_markdown_;
  bool is_code_ = false;  // between two fences
  int64_t number_ = 0;
  std::string heading_;
  std::vector<Line> block_;
  std::vector<Passage> passages_;
};

}  // namespace

std::vector<Passage> CutIntoPassages(absl::string_view file_name, absl::string_view text) {
  Cutter cutter(file_name);
  for (const absl::string_view line : absl::StrSplit(text, '\n')) cutter.Add(line);
  return cutter.Finish();
}

}  // namespace qkserve
