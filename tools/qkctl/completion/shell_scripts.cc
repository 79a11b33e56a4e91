#include "tools/qkctl/completion/shell_scripts.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace qkserve {
namespace {

// Returns "keys" for "keys put", or "" if the name has one word.
std::string GroupOf(const CommandWords& command) {
  const size_t blank = command.name.find(' ');
  return blank == std::string::npos ? "" : command.name.substr(0, blank);
}

// Returns the words that may follow `group` ("" or "keys") with their summaries, in the order of
// the commands.
std::vector<std::pair<std::string, std::string>> NextWords(absl::Span<const CommandWords> commands,
                                                           const std::string& group) {
  std::vector<std::pair<std::string, std::string>> words;
  for (const CommandWords& command : commands) {
    const std::string own = GroupOf(command);
    if (own == group) {
      words.emplace_back(command.name.substr(group.empty() ? 0 : group.size() + 1),
                         command.summary);
    } else if (group.empty() && (words.empty() || words.back().first != own)) {
      words.emplace_back(own, absl::StrCat("Commands on ", own));
    }
  }
  return words;
}

std::vector<std::string> GroupsOf(absl::Span<const CommandWords> commands) {
  std::set<std::string> groups;
  for (const CommandWords& command : commands) groups.insert(GroupOf(command));
  groups.erase("");
  return {groups.begin(), groups.end()};
}

std::string JoinFirst(const std::vector<std::pair<std::string, std::string>>& pairs) {
  return absl::StrJoin(
      pairs, " ", [](std::string* out, const auto& pair) { absl::StrAppend(out, pair.first); });
}

// --- bash ---------------------------------------------------------------------------------------

constexpr absl::string_view kBashBegin =
    R"(# Completion of qkctl for bash, made by 'qkctl completion bash'.
_qkctl() {
  local line=${COMP_LINE:0:COMP_POINT} words command= flag= next i
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=('')
  for ((i = 1; i < ${#words[@]} - 1; ++i)); do
    next="${command:+$command }${words[i]}"
    case $next in
      COMMANDS) command=$next ;;
      *) break ;;
    esac
  done
  # A value stands behind "=", which readline may take for the begin of a word, or is a word.
  local value=${words[-1]} prefix=
  if [[ $value == --*=* ]]; then
    flag=${value%%=*}
    value=${value#*=}
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=$flag=
  elif ((${#words[@]} > 2)); then
    flag=${words[-2]}
  fi
  local choices=
  case "$command $flag" in
)";

constexpr absl::string_view kBashMiddle = R"(    *)
      [[ -z $prefix && $value == "${words[-1]}" ]] || return 0
      case $command in
)";

constexpr absl::string_view kBashEnd = R"(      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$choices" -P "$prefix" -- "$value")
  [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _qkctl qkctl
)";

// Returns the patterns of a shell `case`, sorted: "'load --csv' | 'load --json'".
std::string Patterns(const std::set<std::string>& patterns) {
  return absl::StrCat("'", absl::StrJoin(patterns, "' | '"), "'");
}

// --- zsh ----------------------------------------------------------------------------------------

constexpr absl::string_view kZshBegin = R"(#compdef qkctl
# Completion of qkctl for zsh, made by 'qkctl completion zsh'.
_qkctl() {
  local command
  local -a next
  shift words
  (( CURRENT-- ))
  command=$words[1]
  if (( CURRENT == 1 )); then
    command=
  elif [[ $command == (GROUPS) ]]; then
    shift words
    (( CURRENT-- ))
    (( CURRENT == 1 )) || command="$command $words[1]"
  fi
  case $command in
)";

constexpr absl::string_view kZshEnd = R"(  esac
}
# An autoloaded file is the function's body; a sourced one defines it.
if [[ $funcstack[1] == _qkctl ]]; then
  _qkctl "$@"
else
  compdef _qkctl qkctl
fi
)";

std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// Returns the form in which zsh's _arguments takes a flag.
std::string ZshFlag(const FlagWords& flag) {
  const std::string brief =
      absl::StrReplaceAll(flag.brief, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
  const auto spec = [&brief](absl::string_view name, absl::string_view rest) {
    return absl::StrCat("      ", Quoted(absl::StrCat("--", name, "[", brief, "]", rest)), " \\\n");
  };
  const std::string values = flag.is_file ? "_files"
                             : flag.choices.empty()
                                 ? " "
                                 : absl::StrCat("(", absl::StrJoin(flag.choices, " "), ")");
  switch (flag.value) {
    case FlagWords::Value::kBoolean:
      return absl::StrCat(spec(flag.name, ""), "      '--no", flag.name, "' \\\n");
    case FlagWords::Value::kOptional:
      return spec(absl::StrCat(flag.name, "=-"), absl::StrCat("::value:", values));
    default:
      return spec(absl::StrCat(flag.name, "="), absl::StrCat(":value:", values));
  }
}

// --- fish ---------------------------------------------------------------------------------------

constexpr absl::string_view kFishBegin =
    R"(# Completion of qkctl for fish, made by 'qkctl completion fish'.
function __qkctl_is --description 'The words before the cursor are these'
    set -l words (commandline -opc)
    test "$words[2..-1]" = "$argv"
end
function __qkctl_begins --description 'The first words before the cursor are these'
    set -l words (commandline -opc)
    set -l last (math (count $argv) + 1)
    test "$words[2..$last]" = "$argv"
end
complete -c qkctl -f
)";

std::string FishText(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

}  // namespace

std::string BashCompletion(absl::Span<const CommandWords> commands) {
  std::set<std::string> names, files, others;
  std::map<std::string, std::set<std::string>> by_choices;
  for (const CommandWords& command : commands) {
    names.insert(command.name);
    for (const FlagWords& flag : command.flags) {
      if (flag.value == FlagWords::Value::kBoolean) continue;
      const std::string key = absl::StrCat(command.name, " --", flag.name);
      if (!flag.choices.empty()) {
        by_choices[absl::StrJoin(flag.choices, " ")].insert(key);
      } else {
        (flag.is_file ? files : others).insert(key);
      }
    }
  }
  for (const std::string& group : GroupsOf(commands)) names.insert(group);
  std::string script = absl::StrReplaceAll(kBashBegin, {{"COMMANDS", Patterns(names)}});
  for (const auto& [choices, flags] : by_choices) {
    absl::StrAppend(&script, "    ", Patterns(flags), ")\n      choices='", choices, "' ;;\n");
  }
  absl::StrAppend(&script, "    ", Patterns(files),
                  ")\n      mapfile -t COMPREPLY < <(compgen -f -P \"$prefix\" -- \"$value\")\n"
                  "      compopt -o filenames 2>/dev/null\n      return 0 ;;\n");
  absl::StrAppend(&script, "    ", Patterns(others), ")\n      return 0 ;;\n", kBashMiddle);
  for (const CommandWords& command : commands) {
    std::vector<std::string> words = command.choices;
    for (const FlagWords& flag : command.flags) {
      const bool has_value = flag.value == FlagWords::Value::kRequired;
      words.push_back(absl::StrCat("--", flag.name, has_value ? "=" : ""));
      if (flag.value == FlagWords::Value::kBoolean)
        words.push_back(absl::StrCat("--no", flag.name));
    }
    words.emplace_back("--help");
    absl::StrAppend(&script, "        '", command.name, "') choices='", absl::StrJoin(words, " "),
                    "' ;;\n");
  }
  std::vector<std::string> groups = GroupsOf(commands);
  groups.emplace_back("");
  for (const std::string& group : groups) {
    absl::StrAppend(&script, "        '", group, "') choices='",
                    JoinFirst(NextWords(commands, group)), "' ;;\n");
  }
  return absl::StrCat(script, kBashEnd);
}

std::string ZshCompletion(absl::Span<const CommandWords> commands) {
  std::vector<std::string> groups = GroupsOf(commands);
  std::string script = absl::StrReplaceAll(kZshBegin, {{"GROUPS", absl::StrJoin(groups, "|")}});
  groups.emplace_back("");
  for (const std::string& group : groups) {
    absl::StrAppend(&script, "  ", Quoted(group), ")\n    next=(\n");
    for (const auto& [word, summary] : NextWords(commands, group)) {
      absl::StrAppend(&script, "      ", Quoted(absl::StrCat(word, ":", summary)), "\n");
    }
    absl::StrAppend(&script, "    )\n    _describe -t commands command next ;;\n");
  }
  for (const CommandWords& command : commands) {
    absl::StrAppend(&script, "  ", Quoted(command.name), ")\n    _arguments -S \\\n");
    for (const FlagWords& flag : command.flags) absl::StrAppend(&script, ZshFlag(flag));
    // Without an entry for arguments, zsh offers nothing after an argument.
    const std::string argument =
        command.choices.empty()
            ? "*: :()"
            : absl::StrCat("1:argument:(", absl::StrJoin(command.choices, " "), ")");
    absl::StrAppend(&script, "      ", Quoted(argument), " \\\n");
    absl::StrAppend(&script, "      '--help[Explain the command]' ;;\n");
  }
  return absl::StrCat(script, kZshEnd);
}

std::string FishCompletion(absl::Span<const CommandWords> commands) {
  std::string script(kFishBegin);
  std::vector<std::string> groups = GroupsOf(commands);
  groups.emplace_back("");
  const auto line = [&script](absl::string_view condition, const auto&... parts) {
    absl::StrAppend(&script, "complete -c qkctl -n '", condition, "'", parts..., "\n");
  };
  for (const std::string& group : groups) {
    const std::string here = absl::StrCat("__qkctl_is ", group);
    for (const auto& [word, summary] : NextWords(commands, group)) {
      line(absl::StripTrailingAsciiWhitespace(here), " -a ", word, " -d ", FishText(summary));
    }
  }
  for (const CommandWords& command : commands) {
    const std::string here = absl::StrCat("__qkctl_begins ", command.name);
    if (!command.choices.empty()) {
      line(absl::StrCat("__qkctl_is ", command.name), " -a '", absl::StrJoin(command.choices, " "),
           "'");
    }
    for (const FlagWords& flag : command.flags) {
      const std::string brief = absl::StrCat(" -d ", FishText(flag.brief));
      if (flag.value == FlagWords::Value::kBoolean) {
        line(here, " -l ", flag.name, brief);
        line(here, " -l no", flag.name);
        continue;
      }
      const bool is_required = flag.value == FlagWords::Value::kRequired;
      const std::string values = flag.is_file ? " -F"
                                 : flag.choices.empty()
                                     ? ""
                                     : absl::StrCat(" -a '", absl::StrJoin(flag.choices, " "), "'");
      line(here, " -l ", flag.name, is_required ? " -r" : "", values, brief);
    }
    line(here, " -l help -d 'Explain the command'");
  }
  return script;
}

}  // namespace qkserve
