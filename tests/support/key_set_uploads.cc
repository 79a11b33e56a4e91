#include "tests/support/key_set_uploads.h"

#include <cstddef>
#include <vector>

namespace qkserve {

KeySetUploadSpec UploadSpec(const std::string& name, const KeySetLayout& layout, int64_t rows) {
  return {.name = name,
          .layout = layout,
          .received_types = {{layout.key_type, layout.value_type}},
          .m = rows};
}

std::string PartBytes(const KeySetLayout& layout, ColumnId column, const Part& part) {
  std::string bytes;
  for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
    for (int64_t row = 0; row < part.rows; ++row) {
      const std::vector<std::byte> one = RowBytes(layout, column, part.seed, matrix, row);
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
  absl::Status status = (*upload)->Add(ColumnId::kKeys, PartBytes(layout, ColumnId::kKeys, part));
  if (status.ok() && layout.dv.has_value()) {
    status = (*upload)->Add(ColumnId::kValues, PartBytes(layout, ColumnId::kValues, part));
  }
  if (!status.ok()) return status;
  return (*upload)->Commit();
}

}  // namespace qkserve
