#ifndef QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_
#define QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_

#include <string>
#include <vector>

#include "tools/qkctl/command.h"

// The words of a command that a shell completes. They come from the command's flags. The names come
// from the list of --help, and the values of a flag from the error for a wrong value.

namespace qkserve {

struct FlagWords {
  std::string name;   // without dashes
  std::string brief;  // the start of its help
  enum class Value { kBoolean, kOptional, kRequired } value = Value::kRequired;
  bool is_file = false;              // the value is a path
  std::vector<std::string> choices;  // all values; empty if any value is allowed
};

struct CommandWords {
  std::string name;  // "keys put"
  std::string summary;
  std::vector<std::string> choices;  // values of its argument; empty: any value, or no argument
  std::vector<FlagWords> flags;
};

// Returns the words of a command. Uses temporary parsers with the command's flags.
CommandWords WordsOf(const Command& command);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_
