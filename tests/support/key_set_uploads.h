#ifndef QKSERVE_TESTS_SUPPORT_KEY_SET_UPLOADS_H_
#define QKSERVE_TESTS_SUPPORT_KEY_SET_UPLOADS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/key_sets/key_set_store.h"
#include "core/key_sets/key_set_upload.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {

// The spec of a put whose rows come in the types of the set.
KeySetUploadSpec UploadSpec(const std::string& name, const KeySetLayout& layout, int64_t rows);

// The bytes of a column of the part, with all matrices, as they come over the wire.
std::string PartBytes(const KeySetLayout& layout, ColumnId column, const Part& part);

// Uploads the part. If a version is expected, this is an append, otherwise a put.
absl::StatusOr<std::shared_ptr<const KeySet>> UploadPart(
    KeySetStore& store, const std::string& name, const KeySetLayout& layout, const Part& part,
    std::optional<int64_t> expected_version = std::nullopt);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_KEY_SET_UPLOADS_H_
