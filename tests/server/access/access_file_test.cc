// Access files: what they allow, and which errors they may have.

#include "server/access/access_file.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qkserve {
namespace {

using testing::HasSubstr;
using enum Permission;

// The rules of a valid text.
std::shared_ptr<const AccessRules> Rules(absl::string_view text) {
  return ParseAccessFile(text).value();
}

bool May(absl::string_view text, const std::string& identity, Permission permission,
         absl::string_view key_set) {
  return Rules(text)->For(identity).May(permission, key_set);
}

std::string ErrorOf(absl::string_view text) {
  const absl::Status status = ParseAccessFile(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(AccessFileTest, ScoreAndWriteIncludeRead) {
  constexpr char kText[] = "a read r\na score s\na write w\n";
  for (const Permission permission : {kRead, kScore, kWrite}) {
    EXPECT_EQ(May(kText, "a", permission, "r"), permission == kRead);
    EXPECT_EQ(May(kText, "a", permission, "s"), permission != kWrite);
    EXPECT_EQ(May(kText, "a", permission, "w"), permission != kScore);
    EXPECT_FALSE(May(kText, "a", permission, "other"));
    EXPECT_FALSE(May(kText, "b", permission, "r"));
  }
}

TEST(AccessFileTest, AStarCoversTheNamesThatBeginSo) {
  constexpr char kText[] = "a read a ab* b*\nall read *\n";
  for (const char* const covered : {"a", "ab", "abc", "ab-", "b", "b.1", "bz"}) {
    EXPECT_TRUE(May(kText, "a", kRead, covered)) << covered;
  }
  for (const char* const other : {"", "aa", "ac", "A", "c", "Ab"}) {
    EXPECT_FALSE(May(kText, "a", kRead, other)) << other;
  }
  EXPECT_TRUE(May(kText, "all", kRead, "a"));
  EXPECT_TRUE(May(kText, "all", kRead, ""));
  EXPECT_FALSE(May(kText, "all", kScore, "a"));
}

TEST(AccessFileTest, PatternsThatCoverOneAnotherMatchLikeEachAlone) {
  // Compares every set of these patterns with all words of up to three letters.
  const std::vector<KeySetPattern> patterns = {{"", true},    {"a", false},  {"a", true},
                                               {"ab", false}, {"ab", true},  {"aba", false},
                                               {"b", true},   {"ba", false}, {"bb", true}};
  std::vector<std::string> words = {""};
  for (size_t i = 0; i < 7; ++i) {
    for (const char* const letter : {"a", "b"}) words.push_back(words[i] + letter);
  }
  for (unsigned chosen = 0; chosen < 1U << patterns.size(); ++chosen) {
    std::vector<KeySetPattern> some;
    for (size_t i = 0; i < patterns.size(); ++i) {
      if ((chosen >> i & 1U) != 0) some.push_back(patterns[i]);
    }
    const KeySetPatterns set(some);
    for (const std::string& word : words) {
      const bool expected =
          std::any_of(some.begin(), some.end(),
                      [&](const KeySetPattern& pattern) { return pattern.Covers(word); });
      ASSERT_EQ(set.Matches(word), expected) << word << " of set " << chosen;
    }
  }
}

TEST(AccessFileTest, KeysInsideRequestsNeedAPermissionOfTheirOwn) {
  const auto rules = Rules("a score *\nb score_inline\n");
  EXPECT_FALSE(rules->For("a").MayScoreInline());
  EXPECT_TRUE(rules->For("b").MayScoreInline());
  EXPECT_FALSE(rules->For("b").May(kRead, "x"));
}

TEST(AccessFileTest, LinesAboutAnyoneHoldForEveryCaller) {
  const auto rules = Rules("anyone read public-*\nanyone score_inline\na write a-*\n");
  EXPECT_TRUE(rules->AdmitsAnyone());
  for (const char* const caller : {"", "a", "stranger"}) {
    EXPECT_TRUE(rules->For(caller).May(kRead, "public-1")) << caller;
    EXPECT_TRUE(rules->For(caller).MayScoreInline()) << caller;
    EXPECT_EQ(rules->For(caller).May(kWrite, "a-1"), caller == std::string("a"));
  }
  EXPECT_FALSE(Rules("a read *\n")->AdmitsAnyone());
  EXPECT_FALSE(Rules("")->AdmitsAnyone());
  EXPECT_FALSE(May("a read *\n", "", kRead, "x"));
}

TEST(AccessFileTest, ListsTheReadableKeySetsOnce) {
  const auto rules = Rules("a read b a*\na score ab\na write c*\nanyone read abc* d\n");
  const KeySetPatterns readable = rules->For("a").Readable();
  std::string listed;
  for (const KeySetPattern& pattern : readable.patterns()) {
    absl::StrAppend(&listed, pattern.text, pattern.is_prefix ? "* " : " ");
  }
  EXPECT_EQ(listed, "a* b c* d ");
}

TEST(AccessFileTest, LinesMayHaveCommentsTabsAndCarriageReturns) {
  const auto rules =
      Rules("# comment\r\n\r\n \t a\tread  x  y # why\r\nspiffe://example.org/b#1 read z");
  EXPECT_TRUE(rules->For("a").May(kRead, "y"));
  EXPECT_FALSE(rules->For("a").May(kRead, "why"));
  EXPECT_TRUE(rules->For("spiffe://example.org/b#1").May(kRead, "z"));
}

TEST(AccessFileTest, ErrorsNameTheLineAndWhatWasExpected) {
  EXPECT_EQ(ErrorOf("a read x\n\na reed x\n"),
            "line 3: permission: got 'reed', expected read, score, write or score_inline");
  EXPECT_THAT(ErrorOf("a"), HasSubstr("line 1: permission: got ''"));
  EXPECT_EQ(ErrorOf("a write"), "line 1: write: got no key sets, expected some, or '*' for all");
  EXPECT_THAT(ErrorOf("a score_inline x"), HasSubstr("score_inline: got 'x', expected nothing"));
  for (const char* const bad : {"x**", "*x", "a/b", ".x", ".*", "a?"}) {
    EXPECT_THAT(
        ErrorOf(absl::StrCat("a read ", bad)),
        HasSubstr(absl::StrCat("line 1: key sets: got '", absl::CHexEscape(bad), "', expected")));
  }
  EXPECT_THAT(ErrorOf("\x01 read x"), HasSubstr("identity: got '\\x01', expected"));
  EXPECT_THAT(ErrorOf(absl::StrCat(std::string(3000, 'i'), " read x")),
              HasSubstr("iii...', expected"));
  EXPECT_THAT(ErrorOf(absl::string_view("a re\0s x", 8)), HasSubstr("got 're\\x00s'"));
}

}  // namespace
}  // namespace qkserve
