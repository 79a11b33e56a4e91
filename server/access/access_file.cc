#include "server/access/access_file.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_name.h"
#include "server/access/file_lines.h"
#include "server/access/identity.h"

namespace qkserve {
namespace {

// The lines about one identity, as they are read.
struct ReadLines {
  bool may_score_inline = false;
  std::array<std::vector<KeySetPattern>, kPermissionNames.size()> key_sets;

  AccessLines Take() {
    AccessLines lines;
    lines.may_score_inline = may_score_inline;
    for (size_t i = 0; i < key_sets.size(); ++i) {
      lines.key_sets[i] = KeySetPatterns(std::move(key_sets[i]));
    }
    return lines;
  }
};

absl::StatusOr<KeySetPattern> ReadPattern(const FileLines& lines, absl::string_view word) {
  KeySetPattern pattern;
  absl::string_view text = word;
  pattern.is_prefix = absl::ConsumeSuffix(&text, "*");
  pattern.text = std::string(text);
  const bool is_all = pattern.is_prefix && text.empty();
  if (!is_all && !ValidateKeySetName(text).ok()) {
    return lines.Error(absl::StrCat("key sets: got '", ShownWord(word),
                                    "', expected a key set's name, the beginning of names with "
                                    "'*' behind it, or '*'"));
  }
  return pattern;
}

// Adds what the line allows. Its first word is an identity.
absl::Status AddLine(const FileLines& lines, ReadLines& out) {
  const std::vector<absl::string_view>& words = lines.words();
  const absl::string_view permission = words.size() > 1 ? words[1] : "";
  if (permission == kScoreInline) {
    out.may_score_inline = true;
    if (words.size() == 2) return absl::OkStatus();
    return lines.Error(absl::StrCat(kScoreInline, ": got '", ShownWord(words[2]),
                                    "', expected nothing: it is about no key set"));
  }
  const auto* const name = std::find(kPermissionNames.begin(), kPermissionNames.end(), permission);
  if (name == kPermissionNames.end()) {
    return lines.Error(absl::StrCat("permission: got '", ShownWord(permission),
                                    "', expected read, score, write or ", kScoreInline));
  }
  if (words.size() == 2) {
    return lines.Error(
        absl::StrCat(permission, ": got no key sets, expected some, or '*' for all"));
  }
  std::vector<KeySetPattern>& patterns =
      out.key_sets[static_cast<size_t>(name - kPermissionNames.begin())];
  for (size_t i = 2; i < words.size(); ++i) {
    ASSIGN_OR_RETURN(patterns.emplace_back(), ReadPattern(lines, words[i]));
  }
  return absl::OkStatus();
}

}  // namespace

const Permissions& AccessRules::For(const std::string& identity) const {
  const auto entry = identities_.find(identity);
  return entry == identities_.end() ? others_ : entry->second;
}

absl::StatusOr<std::shared_ptr<const AccessRules>> ParseAccessFile(absl::string_view text) {
  std::unordered_map<std::string, ReadLines> read;
  FileLines lines(text);
  while (lines.Next()) {
    const absl::string_view name = lines.words()[0];
    if (name != kAnyone) RETURN_IF_ERROR(lines.CheckIdentity(name));
    RETURN_IF_ERROR(AddLine(lines, read[std::string(name)]));
  }
  const std::shared_ptr<AccessRules> rules(new AccessRules());
  for (auto& [name, lines_read] : read) {
    if (name == kAnyone) {
      rules->admits_anyone_ = true;
      rules->anyone_ = lines_read.Take();
    } else {
      rules->identities_.emplace(name, Permissions(lines_read.Take(), &rules->anyone_));
    }
  }
  return rules;
}

}  // namespace qkserve
