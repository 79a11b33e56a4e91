#ifndef QKSERVE_TOOLS_QKCTL_OUTPUT_KEY_SET_TEXT_H_
#define QKSERVE_TOOLS_QKCTL_OUTPUT_KEY_SET_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/types/span.h"
#include "qkserve/key_set.h"

namespace qkserve {

// Returns a table of name, version, shapes, type, memory and requests served, in lines of at most
// `width` columns. A damaged set has only its name and its problem.
std::string KeySetTable(absl::Span<const KeySetInfo> key_sets, size_t width);

// Returns the fields of qkserve.v1.KeySet by their names. "values" is null if the set has none. If
// the set has a problem, "values", "keys" and "version" are null.
nlohmann::ordered_json KeySetJson(const KeySetInfo& key_set);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_OUTPUT_KEY_SET_TEXT_H_
