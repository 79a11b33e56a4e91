#include "tools/qkctl/completion/command_words.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

bool IsWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

// Returns the words of "... expected a, b or c". Empty for any other error.
std::vector<std::string> ExpectedWords(absl::string_view error) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(error, absl::MaxSplits("expected ", 1));
  std::vector<std::string> words;
  for (const absl::string_view part : absl::StrSplit(parts.second, ", ")) {
    for (const absl::string_view word : absl::StrSplit(part, " or ")) words.emplace_back(word);
  }
  const bool are_words = words.size() > 1 && std::all_of(words.begin(), words.end(), IsWord);
  return are_words ? words : std::vector<std::string>();
}

// Returns the values that a flag takes, if they are a few words. Empty otherwise.
std::vector<std::string> ChoicesOf(const Command& command, absl::string_view flag) {
  Flags flags("");
  command.add_flags(flags);
  const std::string wrong = absl::StrCat("--", flag, "=?");
  return ExpectedWords(flags.Parse({wrong.c_str()}).status().message());
}

// Returns the start of a help text, up to the first full stop, colon or semicolon.
std::string BriefOf(const std::string& help) {
  return help.substr(0, std::min({help.find(". "), help.find(": "), help.find("; ")}));
}

// Fills `flag` from its entry in --help. `shown` is "=DEFAULT" or "[=FILE]".
void Describe(absl::string_view shown, const std::string& help, FlagWords* flag) {
  if (absl::StartsWith(shown, "[")) flag->value = FlagWords::Value::kOptional;
  if (flag->choices == std::vector<std::string>{"true", "false"}) {
    flag->value = FlagWords::Value::kBoolean;
    flag->choices.clear();
  }
  flag->brief = BriefOf(help);
  flag->is_file = flag->choices.empty() && flag->value != FlagWords::Value::kBoolean &&
                  (absl::EndsWith(flag->name, "_file") ||
                   absl::StrContains(absl::AsciiStrToLower(help), "file"));
}

}  // namespace

CommandWords WordsOf(const Command& command) {
  Flags flags("");
  command.add_flags(flags);
  const std::string list = flags.Help();
  CommandWords words = {
      std::string(command.name), std::string(command.summary), command.choices, {}};
  // An entry is "  --name=DEFAULT    help". The help may start or continue on lines that are
  // indented further.
  std::vector<std::pair<std::string, std::string>> entries;  // "name=DEFAULT" and its help
  for (absl::string_view line : absl::StrSplit(list, '\n')) {
    if (absl::ConsumePrefix(&line, "  --")) {
      const std::pair<absl::string_view, absl::string_view> parts =
          absl::StrSplit(line, absl::MaxSplits("  ", 1));
      entries.emplace_back(parts.first, absl::StripAsciiWhitespace(parts.second));
    } else if (absl::StartsWith(line, "   ") && !entries.empty()) {
      std::string& help = entries.back().second;
      absl::StrAppend(&help, help.empty() ? "" : " ", absl::StripAsciiWhitespace(line));
    }
  }
  for (const auto& [shown, help] : entries) {
    const size_t name_end = shown.find_first_of("=[");
    FlagWords& flag = words.flags.emplace_back();
    flag.name = shown.substr(0, name_end);
    flag.choices = ChoicesOf(command, flag.name);
    Describe(shown.substr(std::min(name_end, shown.size())), help, &flag);
  }
  return words;
}

}  // namespace qkserve
