#include "base/flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// Help is written for a terminal of 100 columns. Its texts begin in a column that most names with
// their defaults do not reach.
constexpr size_t kHelpWidth = 100;
constexpr size_t kHelpColumn = 32;

// CLI11 takes the next argument as the value of "--name=". This stands for the empty value.
constexpr char kEmptyValue[] = "\x1f";

absl::string_view ValueText(absl::string_view result) {
  return absl::StripSuffix(result, kEmptyValue);
}

// `line`, and behind it `text` in lines that begin at kHelpColumn.
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

CLI::Option* AddHidden(CLI::App* app, const std::string& name, const CLI::callback_t& callback) {
  return app->add_option(name, callback)->expected(0)->group("")->trigger_on_parse();
}

// Applies the settings that a program and its commands share.
void Prepare(CLI::App* app) {
  app->set_help_flag();
  app->allow_extras();
  // CLI11 calls this as soon as it meets --help, so errors behind --help do not matter.
  AddHidden(app, "-h,--help", [](const CLI::results_t&) -> bool { throw CLI::CallForHelp(); });
}

}  // namespace

Flags::Flags(const std::string& about)
    : owned_(std::make_unique<CLI::App>(about)), app_(owned_.get()) {
  Prepare(app_);
  app_->formatter(std::make_shared<HelpFormatter>());
}

Flags::Flags(CLI::App* app) : app_(app) { Prepare(app); }

Flags::~Flags() = default;

Flags& Flags::AddCommand(const std::string& name, const std::string& about) {
  // At most one command, because what follows may be an argument with the name of another command.
  app_->require_subcommand(0, 1);
  commands_.push_back(std::unique_ptr<Flags>(new Flags(app_->add_subcommand(name, about))));
  return *commands_.back();
}

void Flags::AddText(const std::string& name, const std::string& default_text,
                    const std::string& help, const FlagForm& form, const ParseText& parse) {
  const std::string dashed = absl::StrCat("--", name);
  const auto callback = [dashed, parse, form](const CLI::results_t& results) {
    const absl::string_view text = ValueText(results[0]);
    if (text.empty() && !form.may_be_empty) {
      throw CLI::ValidationError(
          absl::StrCat(dashed, ": got '', expected a value, or the flag left out"));
    }
    if (std::string error; !parse(text, &error)) {
      throw CLI::ValidationError(absl::StrCat(dashed, ": got '", text, "': ", error));
    }
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

void Flags::AddArgument(const std::string& name, std::string* value) {
  app_->add_option(name,
                   [name, value](const CLI::results_t& results) {
                     if (results[0].empty()) throw CLI::RequiredError(name);
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
  const bool is_flag = text.size() > 1 && text[0] == '-';
  const std::string flag = text.substr(0, text.find('='));
  if (!commands_.empty()) {
    const std::string group = app_->get_name();
    return absl::InvalidArgumentError(
        is_flag ? absl::StrCat("expected a command first, got '", flag, "'")
                : absl::StrCat("unknown command '", group, group.empty() ? "" : " ", text, "'"));
  }
  if (is_flag) return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag));
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

absl::StatusOr<std::string> Flags::Parse(absl::Span<const char* const> args) {
  std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 takes them
  // Completes what CLI11 reads as flags: not values of their own, nor what is behind "--".
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
    RETURN_IF_ERROR(CheckRest(/*asks_for_help=*/true));
    return app_->help();
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    return absl::InvalidArgumentError(
        absl::StrCat(what.substr(0, what.find(':')), " lacks its value"));
  } catch (const CLI::RequiredError& error) {
    // Reported first: a surplus argument is the likelier mistake.
    const absl::Status status = CheckRest(/*asks_for_help=*/false);
    return status.ok() ? absl::InvalidArgumentError(error.what()) : status;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  RETURN_IF_ERROR(CheckRest(/*asks_for_help=*/false));
  return std::string();
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
    std::fputs(help->c_str(), stdout);
    return 0;
  }
  const absl::Status status = help.ok() ? validate() : help.status();
  if (status.ok()) return std::nullopt;
  const std::string message(status.message());
  std::fprintf(stderr, "error: %s\nSee '%s --help'.\n", message.c_str(), argv[0]);
  return kWrongUsage;
}

}  // namespace qkserve
