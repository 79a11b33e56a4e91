#ifndef QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_
#define QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_

#include <string>
#include <vector>

#include "tools/qkctl/command.h"

// The words of a command that a shell completes. They come from the command's own flags: names from
// what --help lists, the values of a flag from the error for a wrong one.

namespace qkserve {

struct FlagWords {
  std::string name;   // without dashes
  std::string brief;  // the begin of its help
  enum class Value { kBoolean, kOptional, kRequired } value = Value::kRequired;
  bool is_file = false;              // the value is a path
  std::vector<std::string> choices;  // the values that there are; empty: any
};

struct CommandWords {
  std::string name;  // "keys put"
  std::string summary;
  std::vector<std::string> choices;  // the values of its argument; empty: any, or none
  std::vector<FlagWords> flags;
};

// The words of a command. Adds its flags to parsers of its own.
CommandWords WordsOf(const Command& command);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMPLETION_COMMAND_WORDS_H_
