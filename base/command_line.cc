#include "base/command_line.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/flags/commandlineflag.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace qkserve {
namespace {

using IsKnown = std::function<bool(const absl::CommandLineFlag&)>;

absl::CommandLineFlag* FindFlag(absl::string_view name, const IsKnown& is_known) {
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  return flag != nullptr && is_known(*flag) ? flag : nullptr;
}

struct Assignment {
  absl::CommandLineFlag* flag = nullptr;
  std::optional<std::string> value;  // not set: it is the next argument
};

// `text` is an argument without its leading dashes.
absl::StatusOr<Assignment> ParseAssignment(absl::string_view text, const IsKnown& is_known) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  const bool has_value = absl::StrContains(text, '=');
  if (absl::CommandLineFlag* flag = FindFlag(parts.first, is_known)) {
    if (has_value) return Assignment{flag, std::string(parts.second)};
    if (flag->IsOfType<bool>()) return Assignment{flag, "true"};
    return Assignment{flag, std::nullopt};
  }
  absl::string_view positive = parts.first;
  if (!has_value && absl::ConsumePrefix(&positive, "no")) {
    absl::CommandLineFlag* flag = FindFlag(positive, is_known);
    if (flag != nullptr && flag->IsOfType<bool>()) return Assignment{flag, "false"};
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown flag --", parts.first));
}

// Abseil says no more than that it is wrong.
absl::string_view HintFor(const absl::CommandLineFlag& flag) {
  const bool is_time =
      flag.IsOfType<absl::Duration>() || flag.IsOfType<std::optional<absl::Duration>>();
  return is_time ? "; expected a time with its unit, as 10s, 500ms or 1m30s" : "";
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(absl::Span<const char* const> args,
                                             const IsKnown& is_known,
                                             absl::Span<const absl::string_view> may_be_empty) {
  CommandLine result;
  for (size_t i = 0; i < args.size(); ++i) {
    absl::string_view arg = args[i];
    if (arg == "--help" || arg == "-h") {
      result.help = true;
      return result;
    }
    if (arg == "--") {
      result.arguments.insert(result.arguments.end(), args.begin() + i + 1, args.end());
      return result;
    }
    if (!absl::StartsWith(arg, "-") || arg == "-") {
      result.arguments.emplace_back(arg);
      continue;
    }
    if (!absl::ConsumePrefix(&arg, "--")) absl::ConsumePrefix(&arg, "-");
    absl::StatusOr<Assignment> assignment = ParseAssignment(arg, is_known);
    if (!assignment.ok()) return assignment.status();
    if (!assignment->value.has_value()) {
      if (++i == args.size()) {
        return absl::InvalidArgumentError(absl::StrCat("--", arg, " lacks its value"));
      }
      assignment->value = args[i];
    }
    const absl::string_view name = assignment->flag->Name();
    const bool may_be_empty_here =
        std::find(may_be_empty.begin(), may_be_empty.end(), name) != may_be_empty.end();
    if (assignment->value->empty() && !may_be_empty_here) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": got '', expected a value, or the flag left out"));
    }
    result.flags.emplace(name);
    std::string error;
    if (!assignment->flag->ParseFrom(*assignment->value, &error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": got '", *assignment->value, "'", error.empty() ? "" : ": ",
                       absl::StripAsciiWhitespace(error), HintFor(*assignment->flag)));
    }
  }
  return result;
}

std::string FlagHelp(const IsKnown& is_shown) {
  std::vector<const absl::CommandLineFlag*> shown;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (is_shown(*flag)) shown.push_back(flag);
  }
  std::sort(shown.begin(), shown.end(),
            [](const auto* a, const auto* b) { return a->Name() < b->Name(); });
  std::string help;
  for (const absl::CommandLineFlag* flag : shown) {
    absl::StrAppend(&help, "  --", flag->Name(), "=", flag->DefaultValue(), "\n      ",
                    flag->Help(), "\n");
  }
  return help;
}

bool FlagIsDefinedIn(const absl::CommandLineFlag& flag, absl::string_view suffix) {
  return absl::EndsWith(flag.Filename(), suffix);
}

}  // namespace qkserve
