#ifndef QKSERVE_SERVER_LIFECYCLE_READINESS_H_
#define QKSERVE_SERVER_LIFECYCLE_READINESS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// The phase of the server's life. Programs that send traffic to the server ask for it.
enum class Readiness { kLoading, kServing, kDraining };

// The key sets that a server needs to be ready.
//
//   none  a server that answers calls is ready
//   some  at least one set is served, or no set exists
//   all   every set is served
//
// A set counts as served if one of its versions is served, even if a newer version is damaged.
enum class ReadyKeySets { kNone, kSome, kAll };

// The value of --ready_key_sets; see base/flags.h.
bool ParseFlag(absl::string_view text, ReadyKeySets* rule, std::string* error);
std::string FlagText(ReadyKeySets rule);

// Returns why a server is not ready, in words for people, or "" if it is ready. The server has
// `key_sets` sets. For `unserved` of these sets, no version could be loaded.
std::string WhyNotReady(Readiness readiness, ReadyKeySets rule, int64_t key_sets, int64_t unserved);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_READINESS_H_
