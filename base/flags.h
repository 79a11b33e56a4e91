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
// `value` may have changed. FlagText writes a value as text for a command line. Types that are
// defined elsewhere have their overloads there.
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
  // If false, --name= is an error, because --name=$VARIABLE with an unset variable must not look
  // like a flag that was not given.
  bool may_be_empty = false;
  // If not empty, --name alone stands for --name=VALUE_ALONE.
  std::string value_alone = {};
  // If `value_alone` is set, --help shows this text instead of the default.
  std::string placeholder = {};
};

// The flags of a program, or of one of its commands. They fill option structs. CLI11 parses the
// command line.
//
// A command line has --name=value or --name value, and --boolean or --noboolean. One dash instead
// of two works, too. If a flag is repeated, its last value counts. After "--" everything is an
// argument. Every command has --help and -h.
//
// A program adds all of its flags to one object and reads them once. Other files cannot define
// flags.
class Flags {
 public:
  // `about` is the part of --help above the flags.
  explicit Flags(const std::string& about);
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  ~Flags();

  // Adds a command to this program, or a subcommand to this command. A command line must then name
  // exactly one of the commands. The returned reference is valid as long as this object lives.
  Flags& AddCommand(const std::string& name, const std::string& about);

  // Begins a group of flags, which --help lists under `heading`. If `variables` is kNone,
  // ReadEnvironment skips these flags.
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
  // Adds a flag for a size of memory or of a message, as ParseByteSize reads it.
  void AddBytes(const std::string& name, int64_t* value, const std::string& help);
  // Adds a flag without a default. `*value` stays nullopt if the flag is not given.
  template <typename T>
  void Add(const std::string& name, std::optional<T>* value, const std::string& help,
           const FlagForm& form = {}) {
    AddText(name, "", help, form, [value](absl::string_view text, std::string* error) {
      return ParseFlag(text, &value->emplace(), error);
    });
  }

  // Adds a required argument, which must not be empty. Errors call it `name`.
  void AddArgument(const std::string& name, std::string* value);
  // Adds an argument that must be given once or several times.
  void AddArguments(const std::string& name, std::vector<std::string>* values);

  // Reads the arguments of main, without the program's name. Call it once. Returns the text of
  // --help if the command line asks for help; the caller then prints the text and does nothing
  // else. Otherwise returns "". INVALID_ARGUMENT: wrong usage. The message names the flag and says
  // what was expected.
  absl::StatusOr<std::string> Parse(absl::Span<const char* const> args);

  // Sets each flag that the command line does not name from the flag's environment variable, if
  // this variable exists. The variable's name is `prefix` and the flag's name in capital letters.
  // The value has the same form as on the command line. Flags of commands are not set. Call it
  // after Parse. INVALID_ARGUMENT: a value is wrong. The message names the variable. All other
  // flags are set nevertheless.
  absl::Status ReadEnvironment(absl::string_view prefix);

  // Returns a message for each environment variable that was probably meant for a flag. Such a
  // variable begins with `prefix`, names no flag, and has a name close to a flag's name. The
  // message has both names.
  std::vector<std::string> MisspeltVariables(absl::string_view prefix) const;

  // Returns `message`. If the message begins with a flag's name, with or without dashes, the result
  // begins instead with what gave the value: --name, or the environment variable.
  std::string NameSource(absl::string_view message) const;

  // Returns the names of the commands that were given, for example "keys put". Call it after Parse,
  // even if Parse failed.
  std::string GivenCommand() const;

  // Returns the text of --help.
  std::string Help() const;

  // Parses the arguments of a program without commands, then calls `validate`. Returns nullopt if
  // the program goes on, otherwise the exit code of main. The code is 0 if the help was printed on
  // standard output, 1 if the help could not be printed, and 2 if the usage was wrong. Errors are
  // printed on standard error.
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
    std::string variable = {};  // the variable that gave the flag its value
  };

  Flags(CLI::App* app, std::shared_ptr<absl::Status> wrong_value);
  void AddText(const std::string& name, const std::string& default_text, const std::string& help,
               const FlagForm& form, const ParseText& parse);
  bool IsOnCommandLine(const Flag& flag) const;
  // INVALID_ARGUMENT: a flag or command is unknown, a command is missing, or an argument is
  // surplus. With --help, a missing command and a surplus argument are allowed.
  absl::Status CheckRest(bool asks_for_help) const;
  // Returns the flag `dashed`, for example "--name", of this program or of one of its commands.
  // Returns nullptr if there is none.
  CLI::Option* Find(const std::string& dashed) const;
  // Returns "; did you mean NAME?", or "" if nothing is close to `typed`.
  std::string FlagGuess(absl::string_view typed) const;
  std::string CommandGuess(absl::string_view typed) const;

  std::unique_ptr<CLI::App> owned_;  // null for a command, which its parent owns
  CLI::App* const app_;
  std::string group_ = "Flags";
  Variables variables_ = Variables::kOneEach;
  std::vector<Flag> flags_;
  // The error of the first value that Parse could not read. Parse reads the other flags
  // nevertheless. The commands share this status.
  const std::shared_ptr<absl::Status> wrong_value_;
  std::vector<std::unique_ptr<Flags>> commands_;
};

}  // namespace qkserve

#endif  // QKSERVE_BASE_FLAGS_H_
