#include "base/flags.h"

#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"
#include "base/closest_name.h"
#include "base/standard_streams.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// Help is written for terminals of 80 columns. Descriptions begin in a column that most flags with
// their defaults do not reach.
constexpr size_t kHelpWidth = 80;
constexpr size_t kHelpColumn = 32;

// This stands for an empty value. CLI11 would take the argument after "--name=" as the value.
constexpr char kEmptyValue[] = "\x1f";

absl::string_view ValueText(absl::string_view result) {
  return absl::StripSuffix(result, kEmptyValue);
}

// Returns `line`, followed by `text` in lines that begin at kHelpColumn.
std::string HangingText(absl::string_view line, absl::string_view text) {
  std::string lines(line);
  size_t begin = 0;  // where the last line begins
  const auto indent = [&](bool breaks) {
    if (breaks) begin = lines.append("\n").size();
    lines.resize(begin + kHelpColumn, ' ');
  };
  indent(line.size() + 2 > kHelpColumn);
  absl::string_view separator = "";
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const bool fits = lines.size() - begin + 1 + word.size() <= kHelpWidth;
    if (!separator.empty() && !fits) {
      indent(true);
      separator = "";
    }
    absl::StrAppend(&lines, separator, word);
    separator = " ";
  }
  return absl::StrCat(lines, "\n");
}

// Writes "  --name=DEFAULT    what it does" for each flag, under headings.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string /*name*/,
                        CLI::AppFormatMode mode) const override {
    const std::string groups = make_groups(app, mode);
    return absl::StrCat(app->get_description(), groups.empty() ? "" : "\n", groups);
  }

  std::string make_group(std::string group, bool /*is_positional*/,
                         std::vector<const CLI::Option*> options) const override {
    std::string text = absl::StrCat(group, ":\n");
    for (const CLI::Option* option : options) {
      const bool value_is_optional =
          option->get_expected_min() == 0 && option->get_expected_max() == 1;
      const std::string shown = value_is_optional ? absl::StrCat("[=", option->get_type_name(), "]")
                                                  : absl::StrCat("=", option->get_default_str());
      absl::StrAppend(&text, HangingText(absl::StrCat("  ", option->get_name(), shown),
                                         option->get_description()));
    }
    return text;
  }
};

// Calls `parse` for the value `text`. `source` is the flag or variable that gave the value.
template <typename ParseText>
absl::Status ReadValue(const std::string& source, absl::string_view text, bool may_be_empty,
                       const ParseText& parse) {
  if (text.empty() && !may_be_empty) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": got '', expected a value, or the ",
                     absl::StartsWith(source, "--") ? "flag left out" : "variable unset"));
  }
  std::string error;
  if (parse(text, &error)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source, ": got '", text, "': ", error));
}

// Returns "; did you mean NAME?", or "" if `name` is empty.
std::string Guess(absl::string_view prefix, const std::string& name) {
  return name.empty() ? "" : absl::StrCat("; did you mean ", prefix, name, "?");
}

CLI::Option* AddHidden(CLI::App* app, const std::string& name, const CLI::callback_t& callback) {
  return app->add_option(name, callback)->expected(0)->group("")->trigger_on_parse();
}

// Applies the settings that a program and its commands share.
void Prepare(CLI::App* app) {
  app->set_help_flag();
  app->allow_extras();
  // CLI11 calls this as soon as it reads --help. Therefore errors after --help do not matter.
  AddHidden(app, "-h,--help", [](const CLI::results_t&) -> bool { throw CLI::CallForHelp(); });
}

}  // namespace

Flags::Flags(const std::string& about)
    : owned_(std::make_unique<CLI::App>(about)),
      app_(owned_.get()),
      wrong_value_(std::make_shared<absl::Status>()) {
  Prepare(app_);
  app_->formatter(std::make_shared<HelpFormatter>());
}

Flags::Flags(CLI::App* app, std::shared_ptr<absl::Status> wrong_value)
    : app_(app), wrong_value_(std::move(wrong_value)) {
  Prepare(app);
}

Flags::~Flags() = default;

Flags& Flags::AddCommand(const std::string& name, const std::string& about) {
  // At most one command is allowed, because a later word may be an argument with the name of
  // another command.
  app_->require_subcommand(0, 1);
  commands_.push_back(
      std::unique_ptr<Flags>(new Flags(app_->add_subcommand(name, about), wrong_value_)));
  return *commands_.back();
}

void Flags::AddText(const std::string& name, const std::string& default_text,
                    const std::string& help, const FlagForm& form, const ParseText& parse) {
  const std::string dashed = absl::StrCat("--", name);
  flags_.push_back({.name = name,
                    .may_be_empty = form.may_be_empty,
                    .has_variable = variables_ == Variables::kOneEach,
                    .parse = parse});
  const auto callback = [dashed, parse, may_be_empty = form.may_be_empty,
                         wrong_value = wrong_value_](const CLI::results_t& results) {
    wrong_value->Update(ReadValue(dashed, ValueText(results[0]), may_be_empty, parse));
    return true;
  };
  CLI::Option* const option = app_->add_option(dashed, callback, help)
                                  ->group(group_)
                                  ->default_str(default_text)
                                  ->trigger_on_parse();
  if (form.value_alone.empty()) return;
  option->expected(0, 1)->default_str(form.value_alone)->type_name(form.placeholder);
}

void Flags::Add(const std::string& name, bool* value, const std::string& help) {
  AddText(name, FlagText(*value), help, {}, [value](absl::string_view text, std::string* error) {
    return ParseFlag(text, value, error);
  });
  app_->get_option(absl::StrCat("--", name))->expected(0);
  AddHidden(app_, absl::StrCat("--no", name), [name, value](const CLI::results_t& results) {
    if (results[0] != "true") throw CLI::ValidationError(absl::StrCat("unknown flag --no", name));
    *value = false;
    return true;
  });
}

void Flags::AddBytes(const std::string& name, int64_t* value, const std::string& help) {
  AddText(name, FormatByteSize(*value), help, {},
          [value](absl::string_view text, std::string* error) {
            *error = kByteSizeExpected;
            return ParseByteSize(text, value);
          });
}

void Flags::AddArgument(const std::string& name, std::string* value) {
  app_->add_option(name,
                   [name, value](const CLI::results_t& results) {
                     if (results[0].empty()) {
                       throw CLI::ValidationError(absl::StrCat(name, " must not be empty"));
                     }
                     *value = std::string(ValueText(results[0]));
                     return true;
                   })
      ->required();
}

void Flags::AddArguments(const std::string& name, std::vector<std::string>* values) {
  app_->add_option(name,
                   [values](const CLI::results_t& results) {
                     values->clear();
                     for (const std::string& result : results)
                       values->emplace_back(ValueText(result));
                     return true;
                   })
      ->required()
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

absl::Status Flags::CheckRest(bool asks_for_help) const {
  const std::vector<std::string> rest = app_->remaining();
  const auto first = std::find_if(rest.begin(), rest.end(),
                                  [](const std::string& argument) { return argument != "--"; });
  if (first == rest.end()) {
    for (const std::unique_ptr<Flags>& command : commands_) {
      if (command->app_->parsed()) return command->CheckRest(asks_for_help);
    }
    return commands_.empty() || asks_for_help ? absl::OkStatus()
                                              : absl::InvalidArgumentError("a command is required");
  }
  const std::string text(ValueText(*first));
  // After "--" no argument is a flag.
  const bool is_flag = text.size() > 1 && text[0] == '-' && first == rest.begin();
  const std::string flag = text.substr(0, text.find('='));
  if (!commands_.empty()) {
    const std::string group = app_->get_name();
    return absl::InvalidArgumentError(
        is_flag ? absl::StrCat("expected a command first, got '", flag, "'")
                : absl::StrCat("unknown command '", group, group.empty() ? "" : " ", text, "'",
                               CommandGuess(text)));
  }
  if (is_flag) {
    return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag, FlagGuess(flag)));
  }
  if (asks_for_help) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("surplus argument '", text, "'"));
}

CLI::Option* Flags::Find(const std::string& dashed) const {
  CLI::Option* option = app_->get_option_no_throw(dashed);
  for (auto command = commands_.begin(); option == nullptr && command != commands_.end();
       ++command) {
    option = (*command)->Find(dashed);
  }
  return option;
}

std::string Flags::FlagGuess(absl::string_view typed) const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) names.push_back(flag.name);
  while (absl::ConsumePrefix(&typed, "-")) {
  }
  return Guess("--", ClosestName(typed, names));
}

std::string Flags::CommandGuess(absl::string_view typed) const {
  std::vector<std::string> names;
  for (const std::unique_ptr<Flags>& command : commands_) {
    names.push_back(command->app_->get_name());
  }
  const std::string group = app_->get_name();
  return Guess(group.empty() ? "" : absl::StrCat(group, " "), ClosestName(typed, names));
}

absl::StatusOr<std::string> Flags::Parse(absl::Span<const char* const> args) {
  *wrong_value_ = absl::OkStatus();
  std::vector<std::string> reversed(args.rbegin(), args.rend());  // CLI11 reads from the back
  // Changes "-name" to "--name", and adds kEmptyValue to "--name=". A value in a separate argument,
  // and arguments after "--", are not changed.
  bool is_value = false;
  for (auto arg = reversed.rbegin(); arg != reversed.rend() && (is_value || *arg != "--"); ++arg) {
    if (std::exchange(is_value, false)) continue;
    const std::string name = arg->substr(0, arg->find('='));
    if (absl::StartsWith(name, "-") && Find(absl::StrCat("-", name)) != nullptr) {
      arg->insert(0, 1, '-');
    }
    const CLI::Option* const option = absl::StartsWith(*arg, "--") ? Find(*arg) : nullptr;
    is_value = option != nullptr && option->get_expected_min() > 0;
    if (absl::StartsWith(*arg, "--") && absl::EndsWith(*arg, "=")) arg->append(kEmptyValue);
  }
  try {
    app_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    RETURN_IF_ERROR(*wrong_value_);
    RETURN_IF_ERROR(CheckRest(/*asks_for_help=*/true));
    return app_->help();
  } catch (const CLI::ArgumentMismatch& error) {
    RETURN_IF_ERROR(*wrong_value_);
    const std::string what = error.what();
    return absl::InvalidArgumentError(
        absl::StrCat(what.substr(0, what.find(':')), " lacks its value"));
  } catch (const CLI::RequiredError& error) {
    // A surplus argument is reported first, because it is the likelier mistake.
    absl::Status status = *wrong_value_;
    status.Update(CheckRest(/*asks_for_help=*/false));
    return status.ok() ? absl::InvalidArgumentError(error.what()) : status;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  RETURN_IF_ERROR(*wrong_value_);
  RETURN_IF_ERROR(CheckRest(/*asks_for_help=*/false));
  return std::string();
}

bool Flags::IsOnCommandLine(const Flag& flag) const {
  const CLI::Option* const negation = app_->get_option_no_throw(absl::StrCat("--no", flag.name));
  return app_->get_option(absl::StrCat("--", flag.name))->count() > 0 ||
         (negation != nullptr && negation->count() > 0);
}

absl::Status Flags::ReadEnvironment(absl::string_view prefix) {
  absl::Status status;
  for (Flag& flag : flags_) {
    if (!flag.has_variable || IsOnCommandLine(flag)) continue;
    const std::string variable = absl::StrCat(prefix, absl::AsciiStrToUpper(flag.name));
    const char* const text = std::getenv(variable.c_str());
    if (text == nullptr) continue;
    flag.variable = variable;
    status.Update(ReadValue(variable, text, flag.may_be_empty, flag.parse));
  }
  return status;
}

std::vector<std::string> Flags::MisspeltVariables(absl::string_view prefix) const {
  std::vector<std::string> with_variables;
  for (const Flag& flag : flags_) {
    if (flag.has_variable) with_variables.push_back(flag.name);
  }
  std::vector<std::string> messages;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view text(*variable);
    const absl::string_view variable_name = text.substr(0, text.find('='));
    absl::string_view rest = variable_name;
    if (!absl::ConsumePrefix(&rest, prefix)) continue;
    const std::string name = absl::AsciiStrToLower(rest);
    if (std::ranges::any_of(flags_, [&](const Flag& flag) { return flag.name == name; })) continue;
    const std::string meant = ClosestName(name, with_variables);
    if (meant.empty()) continue;
    messages.push_back(absl::StrCat(variable_name, ": names no flag; did you mean ", prefix,
                                    absl::AsciiStrToUpper(meant), "?"));
  }
  return messages;
}

std::string Flags::NameSource(absl::string_view message) const {
  for (const Flag& flag : flags_) {
    absl::string_view rest = message;
    absl::ConsumePrefix(&rest, "--");
    if (!absl::ConsumePrefix(&rest, flag.name)) continue;
    if (!absl::StartsWith(rest, ":") && !absl::StartsWith(rest, " ")) continue;
    return absl::StrCat(flag.variable.empty() ? absl::StrCat("--", flag.name) : flag.variable,
                        rest);
  }
  return std::string(message);
}

std::string Flags::GivenCommand() const {
  for (const std::unique_ptr<Flags>& command : commands_) {
    if (!command->app_->parsed()) continue;
    const std::string below = command->GivenCommand();
    return absl::StrCat(command->app_->get_name(), below.empty() ? "" : " ", below);
  }
  return "";
}

std::string Flags::Help() const { return app_->help(); }

std::optional<int> Flags::ParseMain(int argc, const char* const* argv,
                                    const std::function<absl::Status()>& validate) {
  constexpr int kWrongUsage = 2;
  const absl::StatusOr<std::string> help =
      Parse(absl::MakeConstSpan(argv + 1, static_cast<size_t>(argc - 1)));
  if (help.ok() && !help->empty()) {
    return PrintOut(*help) ? 0 : 1;
  }
  const absl::Status status = help.ok() ? validate() : help.status();
  if (status.ok()) return std::nullopt;
  const std::string message(status.message());
  std::fprintf(stderr, "error: %s\nSee '%s --help'.\n", message.c_str(), argv[0]);
  return kWrongUsage;
}

}  // namespace qkserve
