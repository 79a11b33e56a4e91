#include "tests/support/key_set_uploads.h"

#include <cstddef>
#include <vector>

namespace qkserve {

KeySetUploadSpec UploadSpec(const std::string& name, const KeySetLayout& layout, int64_t rows) {
  return {.name = name,
          .layout = layout,
          .key_type = layout.key_type,
          .value_type = layout.value_type,
          .m = rows};
}

std::string PartBytes(const KeySetLayout& layout, bool values, const Part& part) {
  std::string bytes;
  for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
    for (int64_t row = 0; row < part.rows; ++row) {
      const std::vector<std::byte> one = RowBytes(layout, values, part.seed, matrix, row);
      bytes.append(reinterpret_cast<const char*>(one.data()), one.size());
    }
  }
  return bytes;
}

absl::StatusOr<std::shared_ptr<const KeySet>> UploadPart(KeySetStore& store,
                                                         const std::string& name,
                                                         const KeySetLayout& layout,
                                                         const Part& part,
                                                         std::optional<int64_t> expected_version) {
  KeySetUploadSpec spec = UploadSpec(name, layout, part.rows);
  spec.expected_version = expected_version;
  auto upload = store.BeginUpload(spec);
  if (!upload.ok()) return upload.status();
  absl::Status status = (*upload)->AddKeys(PartBytes(layout, false, part));
  if (status.ok() && layout.dv.has_value()) {
    status = (*upload)->AddValues(PartBytes(layout, true, part));
  }
  if (!status.ok()) return status;
  return (*upload)->Commit();
}

}  // namespace qkserve
