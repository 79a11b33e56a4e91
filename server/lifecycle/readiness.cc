#include "server/lifecycle/readiness.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

constexpr absl::string_view kRules[] = {"none", "some", "all"};

}  // namespace

bool ParseFlag(absl::string_view text, ReadyKeySets* rule, std::string* error) {
  const auto* const found = std::find(std::begin(kRules), std::end(kRules), text);
  *error = "expected none, some or all";
  if (found == std::end(kRules)) return false;
  *rule = static_cast<ReadyKeySets>(found - std::begin(kRules));
  return true;
}

std::string FlagText(ReadyKeySets rule) { return std::string(kRules[static_cast<size_t>(rule)]); }

std::string WhyNotReady(Readiness readiness, ReadyKeySets rule, int64_t key_sets,
                        int64_t unserved) {
  if (readiness == Readiness::kLoading) return "key sets are being loaded";
  if (readiness == Readiness::kDraining) return "the server is draining";
  if (unserved == 0 || rule == ReadyKeySets::kNone) return "";
  if (rule == ReadyKeySets::kSome && unserved < key_sets) return "";
  return absl::StrCat("key sets that cannot be served: ", unserved, " of ", key_sets,
                      "; qkctl keys list says why");
}

}  // namespace qkserve
