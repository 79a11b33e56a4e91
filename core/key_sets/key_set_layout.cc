#include "core/key_sets/key_set_layout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/limits.h"

namespace qkserve {
PerColumn<Column> KeySetLayout::Columns() const {
  return {{{{.id = ColumnId::kKeys,
             .name = "keys",
             .is_present = true,
             .type = key_type,
             .width = d,
             .panel_bytes_for = &KeyPanelBytes,
             .pack = &PackKeys},
            {.id = ColumnId::kValues,
             .name = "values",
             .is_present = dv.has_value(),
             .type = value_type,
             .width = dv.value_or(0),
             .panel_bytes_for = &ValuePanelBytes,
             .pack = &PackValues}}}};
}

void KeySetLayout::SetColumn(ColumnId id, DataType type, int64_t width) {
  switch (id) {
    case ColumnId::kKeys:
      key_type = type;
      d = width;
      break;
    case ColumnId::kValues:
      value_type = type;
      dv = width;
      break;
  }
}

int64_t KeySetLayout::Matrices() const {
  int64_t matrices = 1;
  for (const int64_t size : leading) matrices *= size;
  return matrices;
}

Shape KeySetLayout::ShapeOf(const Column& column, int64_t m) const {
  Shape shape = leading;
  shape.insert(shape.end(), {m, column.width});
  return shape;
}

int64_t KeySetLayout::BytesFor(int64_t m) const {
  int64_t row_bytes = 0;
  for (const Column& column : Columns()) row_bytes += column.RowBytes();
  return Matrices() * m * row_bytes;
}

absl::Status KeySetLayout::Validate(int64_t m) const {
  if (m > kKeySetKeysMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", m, " keys, a key set may have ", kKeySetKeysMax));
  }
  // A set with fewer keys than a block is checked as if it had a full block, because memory is
  // allocated in blocks. A row without elements counts as one element.
  const int64_t rows = std::max(m, KeySet::kBlockPanels * kPanelKeys);
  for (const Column& column : Columns()) {
    Column charged = column;
    charged.width = std::max<int64_t>(column.width, 1);
    const std::optional<int64_t> elements = ElementCount(ShapeOf(charged, rows));
    if (!elements.has_value() || *elements > kKeySetElementsMax ||
        column.width > kKeySetColumnsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("got shape ", ShapeString(ShapeOf(column, m)), ", which is too large"));
    }
  }
  return absl::OkStatus();
}

}  // namespace qkserve
