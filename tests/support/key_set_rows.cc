#include "tests/support/key_set_rows.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Calls fn(column, row, count, bytes) for all rows, with at most `step` rows in a call.
template <class Fn>
absl::Status ForRows(const KeySetLayout& layout, const Part& part, int64_t step, const Fn& fn) {
  for (const Column& column : layout.Columns()) {
    if (!column.is_present) continue;
    for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
      for (int64_t row = 0; row < part.rows; row += step) {
        const int64_t count = std::min(step, part.rows - row);
        std::vector<std::byte> bytes;
        for (int64_t i = 0; i < count; ++i) {
          const std::vector<std::byte> one =
              RowBytes(layout, column.id, part.seed, matrix, row + i);
          bytes.insert(bytes.end(), one.begin(), one.end());
        }
        absl::Status status = fn(column.id, matrix * part.rows + row, count, bytes.data());
        if (!status.ok()) return status;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<KeySetLayout> LayoutsOfAllKinds() {
  using enum DataType;
  return {
      {.leading = {}, .d = 5, .key_type = kFloat32},
      {.leading = {}, .d = 64, .key_type = kFloat16, .dv = 3, .value_type = kFloat32},
      {.leading = {3}, .d = 7, .key_type = kBfloat16, .dv = 17, .value_type = kBfloat16},
      {.leading = {2, 3}, .d = 4, .key_type = kFloat32, .dv = 5, .value_type = kFloat16},
      {.leading = {1, 2}, .d = 3, .key_type = kFloat16},
      {.leading = {2}, .d = 0, .key_type = kFloat32, .dv = 2, .value_type = kFloat32},
      {.leading = {}, .d = 2, .key_type = kFloat32, .dv = 0, .value_type = kFloat32},
      {.leading = {0, 4}, .d = 2, .key_type = kFloat32},
  };
}

std::vector<std::byte> RowBytes(const KeySetLayout& layout, ColumnId column, uint64_t seed,
                                int64_t matrix, int64_t row) {
  const int64_t size = layout.Columns()[column].RowBytes();
  std::seed_seq sequence{seed, static_cast<uint64_t>(column), static_cast<uint64_t>(matrix),
                         static_cast<uint64_t>(row)};
  std::minstd_rand random(sequence);
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 8);
  return bytes;
}

void AddPart(const KeySetLayout& layout, const Part& part, KeySetBuilder& builder, int64_t step) {
  ForRows(layout, part, step, [&](auto... rows) {
    builder.Add(rows...);
    return absl::OkStatus();
  }).IgnoreError();
}

absl::Status WritePart(const KeySetLayout& layout, const Part& part, SegmentWriter& segment,
                       int64_t step) {
  return ForRows(layout, part, step, [&](auto... rows) { return segment.Write(rows...); });
}

absl::StatusOr<bool> MergeSegments(KeySetDirectory& directory, const std::string& name) {
  absl::StatusOr<SegmentMerge> merge = directory.CopyForMerge(name);
  if (!merge.ok()) return merge.status();
  if (merge->merged == nullptr) return false;
  return directory.FinishMerge(name, *std::move(merge));
}

std::shared_ptr<const KeySet> BuildKeySet(const KeySetLayout& layout,
                                          const std::vector<Part>& parts, ByteBudget* budget) {
  std::shared_ptr<const KeySet> set;
  int64_t version = 0;
  for (const Part& part : parts) {
    auto builder = KeySetBuilder::Create(layout, part.rows, set, budget).value();
    AddPart(layout, part, *builder, /*step=*/50);
    set = builder->Finish("expected", ++version);
  }
  return set;
}

std::string Contents(const KeySet& set) {
  const KeySetLayout& layout = set.layout();
  std::string contents =
      absl::StrCat(ShapeString(layout.KeyShape(set.m())), DataTypeName(layout.key_type));
  if (layout.dv.has_value()) {
    absl::StrAppend(&contents, ShapeString(layout.ValueShape(set.m())),
                    DataTypeName(layout.value_type));
  }
  for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
    for (int64_t panel = 0; panel * kPanelKeys < set.m(); ++panel) {
      const PanelRun run = set.Panels(matrix, panel, 1);
      if (layout.d > 0) {
        contents.append(reinterpret_cast<const char*>(run.keys.data),
                        static_cast<size_t>(KeyPanelBytes(layout.key_type, layout.d)));
      }
      if (layout.dv.value_or(0) > 0) {
        contents.append(reinterpret_cast<const char*>(run.values.data),
                        static_cast<size_t>(ValuePanelBytes(layout.value_type, *layout.dv)));
      }
    }
  }
  return contents;
}

}  // namespace qkserve
