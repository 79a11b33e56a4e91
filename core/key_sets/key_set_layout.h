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
// column, add it here and in KeySetLayout::Columns. Uploads and files handle all columns that are
// listed there.
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

  // The bytes of a panel, and the function that packs rows into a panel (core/kernels/panels.h).
  int64_t (*panel_bytes_for)(DataType type, int64_t width) = &KeyPanelBytes;
  void (*pack)(DataType type, const std::byte* rows, int64_t count, int64_t width, int64_t first,
               std::byte* panel) = &PackKeys;

  // Return the bytes of a row in a file and of a panel (kPanelKeys rows) in memory.
  int64_t RowBytes() const { return width * ElementBytes(type); }
  int64_t PanelBytes() const { return panel_bytes_for(type, width); }
};

// The shape and types of a key set. All versions from one put to the next have the same layout.
struct KeySetLayout {
  Shape leading;  // [], [batch] or [batch, heads]
  int64_t d = 0;
  DataType key_type = DataType::kFloat32;    // type in memory and in files
  std::optional<int64_t> dv = std::nullopt;  // nullopt: the set has no values
  DataType value_type = DataType::kFloat32;

  // Returns all columns that a set may have, each at its ColumnId.
  PerColumn<Column> Columns() const;
  // Sets the type and width of a column. The column is then present.
  void SetColumn(ColumnId id, DataType type, int64_t width);

  // Returns the number of [m, width] matrices of a column: the product of the leading dimensions.
  int64_t Matrices() const;
  Shape ShapeOf(const Column& column, int64_t m) const;  // [.., m, width]
  Shape KeyShape(int64_t m) const { return ShapeOf(Columns()[ColumnId::kKeys], m); }
  Shape ValueShape(int64_t m) const { return ShapeOf(Columns()[ColumnId::kValues], m); }

  // Returns the bytes that `m` rows of all matrices and columns take in a file.
  int64_t BytesFor(int64_t m) const;

  // Checks the sizes. They may come from any caller but must not be negative. INVALID_ARGUMENT:
  // there are too many keys, a row is too wide, or a column has too many elements for sizes in
  // bytes to fit in 64 bits. A set with fewer keys than a block is checked as if it had a full
  // block.
  absl::Status Validate(int64_t m) const;

  friend bool operator==(const KeySetLayout&, const KeySetLayout&) = default;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_LAYOUT_H_
