#ifndef QKSERVE_BASE_FLAGS_H_
#define QKSERVE_BASE_FLAGS_H_

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace qkserve {

// ParseFlag reads the value of a flag. If it returns false, `error` says what was expected, and
// `value` may have changed. FlagText writes a value as a command line would. A type defined
// elsewhere has its overloads beside its definition.
inline bool ParseFlag(absl::string_view text, std::string* value, std::string* /*error*/) {
  *value = std::string(text);
  return true;
}
template <std::integral T>
bool ParseFlag(absl::string_view text, T* value, std::string* error) {
  *error = absl::StrCat("expected a whole number of ", 8 * sizeof(T), " bits");
  return absl::StartsWith(text, "0x") ? absl::SimpleHexAtoi(text, value)
                                      : absl::SimpleAtoi(text, value);
}
inline bool ParseFlag(absl::string_view text, bool* value, std::string* error) {
  *error = "expected true or false";
  return absl::SimpleAtob(absl::StripAsciiWhitespace(text), value);
}
inline bool ParseFlag(absl::string_view text, float* value, std::string* error) {
  *error = "expected a number";
  return absl::SimpleAtof(text, value);
}
inline bool ParseFlag(absl::string_view text, double* value, std::string* error) {
  *error = "expected a number";
  return absl::SimpleAtod(text, value);
}
inline bool ParseFlag(absl::string_view text, absl::Duration* value, std::string* error) {
  *error = "expected a time with its unit, as 10s, 500ms or 1m30s";
  return absl::ParseDuration(text, value);
}

inline std::string FlagText(const absl::AlphaNum& value) { return absl::StrCat(value); }
inline std::string FlagText(std::same_as<bool> auto value) { return value ? "true" : "false"; }
inline std::string FlagText(absl::Duration value) { return absl::FormatDuration(value); }

// How a flag's value may be given.
struct FlagForm {
  // If false, --name= is an error: a shell variable that is not set must not look like a flag that
  // was not given.
  bool may_be_empty = false;
  // If not empty, --name alone stands for --name=VALUE_ALONE.
  std::string value_alone = {};
  // If there is a value_alone, --help shows this text instead of the default.
  std::string placeholder = {};
};

// The flags of a program, or of one of its commands. They fill option structs. CLI11 parses.
//
// A command line has --name=value or --name value, and --boolean or --noboolean. One dash does as
// well. The last value of a flag counts. Behind "--" everything is an argument. --help and -h
// belong to every command.
//
// Not a library of flags that any file may define: a program adds all of its flags here, and reads
// them once.
class Flags {
 public:
  // `about` is the part of --help above the flags.
  explicit Flags(const std::string& about);
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  ~Flags();

  // Adds a command to this program, or a second word to this command. A command line must then name
  // exactly one of the commands. The reference lives as long as this object.
  Flags& AddCommand(const std::string& name, const std::string& about);

  // The flags that follow are listed under `heading`. kNone: ReadEnvironment skips them.
  enum class Variables { kNone, kOneEach };
  void BeginGroup(std::string heading, Variables variables = Variables::kOneEach) {
    group_ = std::move(heading);
    variables_ = variables;
  }

  // Adds the flag --name. `*value` is the default, and Parse overwrites it. `value` must outlive
  // this object.
  template <typename T>
  void Add(const std::string& name, T* value, const std::string& help, const FlagForm& form = {}) {
    AddText(name, FlagText(*value), help, form,
            [value](absl::string_view text, std::string* error) {
              return ParseFlag(text, value, error);
            });
  }
  // Adds a boolean flag: --name and --noname, or --name=true.
  void Add(const std::string& name, bool* value, const std::string& help);
  // Adds a flag for a size of memory or of a message: see ParseByteSize.
  void AddBytes(const std::string& name, int64_t* value, const std::string& help);
  // Adds a flag without a default: `*value` stays nullopt if the flag is not given.
  template <typename T>
  void Add(const std::string& name, std::optional<T>* value, const std::string& help,
           const FlagForm& form = {}) {
    AddText(name, "", help, form, [value](absl::string_view text, std::string* error) {
      return ParseFlag(text, &value->emplace(), error);
    });
  }

  // Adds an argument that is no flag. It is required and must not be empty. `name` stands for it in
  // errors.
  void AddArgument(const std::string& name, std::string* value);
  // Adds an argument that may be given once or more often.
  void AddArguments(const std::string& name, std::vector<std::string>* values);

  // Reads the arguments of main, without the program's name. Called once. Returns the text of
  // --help if the command line asks for it: the caller then prints it and does nothing else.
  // Otherwise returns "". INVALID_ARGUMENT: wrong usage. The message names the flag and says what
  // was expected.
  absl::StatusOr<std::string> Parse(absl::Span<const char* const> args);

  // Gives each flag that the command line did not name the value of its environment variable, if
  // there is one. The variable is `prefix` and the flag's name in capital letters. Its value is
  // read as the flag's would be. Flags of this object's commands are not read. Called after Parse.
  // INVALID_ARGUMENT: a value is wrong. The message names the variable. All other flags then have
  // their values.
  absl::Status ReadEnvironment(absl::string_view prefix);

  // A message for each environment variable that was probably meant for a flag: it begins with
  // `prefix`, names no flag, and its name is close to a flag's. The message names both.
  std::vector<std::string> MisspeltVariables(absl::string_view prefix) const;

  // If `message` begins with the name of a flag, with or without its dashes, returns it with the
  // name as it was given: --name, or its variable. Otherwise returns it as it is.
  std::string NameSource(absl::string_view message) const;

  // The names of the commands that were given, for example "keys put". Called after Parse, which
  // may have failed.
  std::string GivenCommand() const;

  // The text of --help.
  std::string Help() const;

  // For a program without commands: parses, then calls `validate`. Returns nullopt if the program
  // goes on, otherwise the exit code of main. 0: the help was printed on standard output. 1: it
  // could not be printed. 2: the usage was wrong. Standard error says so.
  std::optional<int> ParseMain(
      int argc, const char* const* argv,
      const std::function<absl::Status()>& validate = [] { return absl::OkStatus(); });

 private:
  using ParseText = std::function<bool(absl::string_view text, std::string* error)>;

  struct Flag {
    std::string name;
    bool may_be_empty = false;
    bool has_variable = false;
    ParseText parse;
    std::string variable = {};  // the variable that gave its value
  };

  Flags(CLI::App* app, std::shared_ptr<absl::Status> wrong_value);
  void AddText(const std::string& name, const std::string& default_text, const std::string& help,
               const FlagForm& form, const ParseText& parse);
  bool IsOnCommandLine(const Flag& flag) const;
  // INVALID_ARGUMENT: an argument is surplus, or a command is missing. With --help neither is an
  // error, except a missing second word of a command.
  absl::Status CheckRest(bool asks_for_help) const;
  // The flag `dashed`, for example "--name", of this program or of one of its commands, or nullptr.
  CLI::Option* Find(const std::string& dashed) const;
  // "; did you mean NAME?", or "" if nothing is close to `typed`.
  std::string FlagGuess(absl::string_view typed) const;
  std::string CommandGuess(absl::string_view typed) const;

  std::unique_ptr<CLI::App> owned_;  // null for a command, which its parent owns
  CLI::App* const app_;
  std::string group_ = "Flags";
  Variables variables_ = Variables::kOneEach;
  std::vector<Flag> flags_;
  // The first value that Parse could not read. The flags behind it are read, too. Shared with the
  // commands.
  const std::shared_ptr<absl::Status> wrong_value_;
  std::vector<std::unique_ptr<Flags>> commands_;
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_FLAGS_H_
