#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_LAYOUT_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_LAYOUT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "core/kernels/panels.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The columns that a key set may have: tensors [.., m, width] with one row for each key. To add a
// column, add it here and in KeySetLayout::Columns: uploads and files go through all columns.
enum class ColumnId { kKeys, kValues };
inline constexpr size_t kColumnCount = 2;

// Has one T for each ColumnId.
template <class T>
struct PerColumn {
  T& operator[](ColumnId id) { return items[static_cast<size_t>(id)]; }
  const T& operator[](ColumnId id) const { return items[static_cast<size_t>(id)]; }
  auto begin() { return items.begin(); }
  auto end() { return items.end(); }
  auto begin() const { return items.begin(); }
  auto end() const { return items.end(); }

  std::array<T, kColumnCount> items = {};
};

struct Column {
  ColumnId id = ColumnId::kKeys;
  const char* name = "";    // name of its tensor in files and in errors
  bool is_present = false;  // if false, the width is 0
  DataType type = DataType::kFloat32;
  int64_t width = 0;  // elements of a row

  // The bytes of a panel, which depend on how rows are packed: see core/kernels/panels.h.
  int64_t (*panel_bytes_for)(DataType type, int64_t width) = &KeyPanelBytes;
  void (*pack)(DataType type, const std::byte* rows, int64_t count, int64_t width, int64_t first,
               std::byte* panel) = &PackKeys;

  // Bytes of a row in a file, and of a panel of kPanelKeys rows in memory.
  int64_t RowBytes() const { return width * ElementBytes(type); }
  int64_t PanelBytes() const { return panel_bytes_for(type, width); }
};

// The shape and types of a key set. From one put to the next all versions share them.
struct KeySetLayout {
  Shape leading;  // [], [batch] or [batch, heads]
  int64_t d = 0;
  DataType key_type = DataType::kFloat32;    // type in memory and in files
  std::optional<int64_t> dv = std::nullopt;  // nullopt: the set has no values
  DataType value_type = DataType::kFloat32;

  // All columns that a set may have, each at its ColumnId.
  PerColumn<Column> Columns() const;
  // Sets the type and width of a column, and so makes it present.
  void SetColumn(ColumnId id, DataType type, int64_t width);

  // The number of [m, width] matrices of a column: the leading dimensions multiplied.
  int64_t Matrices() const;
  Shape ShapeOf(const Column& column, int64_t m) const;  // [.., m, width]
  Shape KeyShape(int64_t m) const { return ShapeOf(Columns()[ColumnId::kKeys], m); }
  Shape ValueShape(int64_t m) const { return ShapeOf(Columns()[ColumnId::kValues], m); }

  // Bytes in a file of `m` rows of all matrices and columns.
  int64_t BytesFor(int64_t m) const;

  // Checks sizes, which may come from anybody but must not be negative. INVALID_ARGUMENT: a set may
  // not have `m` keys, or its sizes in bytes would not fit in 64 bits. (Sizes leave room for
  // appends.)
  absl::Status Validate(int64_t m) const;

  friend bool operator==(const KeySetLayout&, const KeySetLayout&) = default;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_LAYOUT_H_
