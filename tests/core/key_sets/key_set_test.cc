#include "core/key_sets/key_set.h"

#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/key_sets/limits.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {
namespace {

constexpr int64_t kBlockKeys = KeySet::kBlockPanels * kPanelKeys;

const KeySetLayout kLayout = {.leading = {2}, .d = 3, .key_type = DataType::kFloat16, .dv = 2};

// Appends `rows` rows of seed 1, beginning at row m of the set. If `base` is null, puts the first
// `rows` rows instead. The rows do not depend on how they are cut into parts.
std::shared_ptr<const KeySet> Grow(std::shared_ptr<const KeySet> base, const KeySetLayout& layout,
                                   int64_t rows, ByteBudget* budget) {
  const int64_t first = base != nullptr ? base->m() : 0;
  const int64_t version = base != nullptr ? base->version() + 1 : 1;
  auto builder = KeySetBuilder::Create(layout, rows, base, budget).value();
  for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
    for (int64_t row = 0; row < rows; ++row) {
      builder->Add(ColumnId::kKeys, matrix * rows + row, 1,
                   RowBytes(layout, ColumnId::kKeys, 1, matrix, first + row).data());
      if (!layout.dv.has_value()) continue;
      builder->Add(ColumnId::kValues, matrix * rows + row, 1,
                   RowBytes(layout, ColumnId::kValues, 1, matrix, first + row).data());
    }
  }
  return builder->Finish("set", version,
                         base != nullptr ? base->shared_requests_served() : nullptr);
}

TEST(KeySetTest, AnyCutGivesTheSamePanels) {
  ByteBudget budget("key_set_memory", kGiB);
  for (const KeySetLayout& layout : LayoutsOfAllKinds()) {
    const std::string whole = Contents(*Grow(nullptr, layout, 400, &budget));
    for (const std::vector<int64_t>& cut :
         std::vector<std::vector<int64_t>>{{0, 400},
                                           {1, 399},
                                           {64, 336},
                                           {63, 1, 336},
                                           {65, 0, 63, 272},
                                           {100, 100, 100, 100},
                                           {7, 1, 1, 1, 50, 140, 200}}) {
      std::shared_ptr<const KeySet> set;
      for (const int64_t rows : cut) set = Grow(set, layout, rows, &budget);
      EXPECT_TRUE(Contents(*set) == whole);
      EXPECT_EQ(set->m(), 400);
      EXPECT_EQ(set->base_version(), 1);
    }
  }
}

TEST(KeySetTest, AnyCutAcrossBlocksGivesTheSamePanels) {
  ByteBudget budget("key_set_memory", kGiB);
  const std::string whole = Contents(*Grow(nullptr, kLayout, 2 * kBlockKeys + 100, &budget));
  for (const int64_t first : {kBlockKeys - 1, kBlockKeys, kBlockKeys + 1}) {
    auto set = Grow(nullptr, kLayout, first, &budget);
    set = Grow(set, kLayout, kBlockKeys, &budget);
    set = Grow(set, kLayout, kBlockKeys + 100 - first, &budget);
    EXPECT_TRUE(Contents(*set) == whole);
  }
}

TEST(KeySetTest, AppendsLeaveOlderVersionsAsTheyWere) {
  ByteBudget budget("key_set_memory", kGiB);
  std::vector<std::shared_ptr<const KeySet>> versions;
  std::vector<std::string> contents;
  std::shared_ptr<const KeySet> set;
  for (const int64_t rows : {10, 60, 100, 1, 0, 300, 64}) {
    set = Grow(set, kLayout, rows, &budget);
    versions.push_back(set);
    contents.push_back(Contents(*set));
  }
  for (size_t i = 0; i < versions.size(); ++i) {
    EXPECT_TRUE(Contents(*versions[i]) == contents[i]) << i;
  }
}

TEST(KeySetTest, VersionsShareMemoryAndGiveItBack) {
  ByteBudget budget("key_set_memory", kGiB);
  {
    const auto base = Grow(nullptr, kLayout, 4 * kBlockKeys, &budget);
    const int64_t base_bytes = budget.bytes();
    EXPECT_EQ(base_bytes, base->memory_bytes());
    auto grown = Grow(base, kLayout, 10, &budget);
    // The charge has grown by one panel.
    EXPECT_EQ(budget.bytes(), grown->memory_bytes());
    EXPECT_LE(budget.bytes() - base_bytes, base_bytes / 200);
    EXPECT_EQ(base->Panels(1, 70, 1).keys.data, grown->Panels(1, 70, 1).keys.data);
    grown = nullptr;
    EXPECT_EQ(budget.bytes(), base_bytes);
  }
  EXPECT_EQ(budget.bytes(), 0);
}

TEST(KeySetTest, ManySmallAppendsCopyLittle) {
  ByteBudget budget("key_set_memory", kGiB);
  auto set = Grow(nullptr, kLayout, 1, &budget);
  for (int i = 0; i < 200; ++i) set = Grow(set, kLayout, 16, &budget);
  EXPECT_TRUE(Contents(*set) == Contents(*Grow(nullptr, kLayout, 1 + 200 * 16, &budget)));
}

// The bytes of a set by the formula in docs/operations.md.
int64_t DocumentedBytes(const KeySetLayout& layout, int64_t m) {
  return layout.BytesFor((m + kPanelKeys - 1) / kPanelKeys * kPanelKeys);
}

TEST(KeySetTest, MemoryIsWhatTheKeysNeedOverShapesAndTypes) {
  ByteBudget budget("key_set_memory", kGiB);
  for (const Shape& leading : {Shape{}, Shape{1000}, Shape{3, 5}, Shape{0, 2}}) {
    for (const int64_t d : {0, 1, 3, 16, 17, 128}) {
      for (const std::optional<int64_t> dv :
           {std::optional<int64_t>(), std::optional<int64_t>(0), std::optional<int64_t>(1),
            std::optional<int64_t>(3), std::optional<int64_t>(100)}) {
        for (const DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
          const KeySetLayout layout = {
              .leading = leading, .d = d, .key_type = type, .dv = dv, .value_type = type};
          for (const int64_t m : {0, 1, 64, 65, 10000}) {
            if (leading.size() == 1 && m > 100) continue;  // this would take too long
            const auto builder = KeySetBuilder::Create(layout, m, nullptr, &budget).value();
            const auto set = builder->Finish("set", 1);
            EXPECT_EQ(set->memory_bytes(), budget.bytes());
            EXPECT_LE(static_cast<double>(set->memory_bytes()),
                      1.1 * static_cast<double>(DocumentedBytes(layout, m)) + 4096)
                << ShapeString(layout.KeyShape(m)) << " dv " << dv.value_or(-1);
          }
        }
      }
    }
  }
}

TEST(KeySetTest, MemoryIsWhatTheKeysNeedAfterAnyAppends) {
  ByteBudget budget("key_set_memory", kGiB);
  for (const KeySetLayout& layout :
       {kLayout, KeySetLayout{.leading = {}, .d = 1}, KeySetLayout{.leading = {40}, .d = 1}}) {
    for (const int64_t rows : {1, 16, 63, 64, 65, 300}) {
      std::shared_ptr<const KeySet> set;
      for (int64_t m = 0; m < 20 * rows + kPanelKeys; m += rows) {
        set = Grow(set, layout, rows, &budget);
        ASSERT_EQ(set->memory_bytes(), budget.bytes());
        ASSERT_LE(static_cast<double>(set->memory_bytes()),
                  1.1 * static_cast<double>(DocumentedBytes(layout, set->m())) + 4096)
            << set->m() << " keys in steps of " << rows;
      }
    }
  }
}

TEST(KeySetTest, ABuilderThatComesToNothingLeavesNoTrace) {
  ByteBudget budget("key_set_memory", kGiB);
  // Allocates more panels than the version shows.
  auto base = Grow(nullptr, kLayout, 200, &budget);
  base = Grow(base, kLayout, 100, &budget);
  const std::string before = Contents(*base);
  const int64_t bytes = budget.bytes();
  {
    auto builder = KeySetBuilder::Create(kLayout, 100, base, &budget).value();
    // If all bits are ones, an element is NaN.
    const std::vector<std::byte> rows(100 * 8, std::byte{0xff});
    for (int64_t matrix = 0; matrix < 2; ++matrix) {
      builder->Add(ColumnId::kKeys, matrix * 100, 100, rows.data());
      builder->Add(ColumnId::kValues, matrix * 100, 100, rows.data());
    }
  }
  EXPECT_EQ(budget.bytes(), bytes);
  EXPECT_TRUE(Contents(*base) == before);
  // The new rows are zeros. The scores and the context must not show the NaN of rows that were in
  // the same place before.
  const std::vector<std::byte> zeros(150 * 8);
  const auto with_zeros = [&](const std::shared_ptr<const KeySet>& set) {
    auto builder = KeySetBuilder::Create(kLayout, 150, set, &budget).value();
    for (int64_t matrix = 0; matrix < 2; ++matrix) {
      builder->Add(ColumnId::kKeys, matrix * 150, 150, zeros.data());
      builder->Add(ColumnId::kValues, matrix * 150, 150, zeros.data());
    }
    return builder->Finish("set", 9);
  };
  EXPECT_TRUE(Contents(*with_zeros(base)) ==
              Contents(*with_zeros(Grow(nullptr, kLayout, 300, &budget))));
}

TEST(KeySetTest, SaysWhereThereIsNoMemory) {
  ByteBudget budget("key_set_memory", 100000);
  const auto base = Grow(nullptr, kLayout, 100, &budget);
  const int64_t bytes = budget.bytes();
  EXPECT_TRUE(
      absl::IsResourceExhausted(KeySetBuilder::Create(kLayout, 100000, base, &budget).status()));
  EXPECT_EQ(budget.bytes(), bytes);
  // Rows without bytes need no block.
  EXPECT_TRUE(
      KeySetBuilder::Create({.leading = {1 << 20}, .d = 0}, 1000000, nullptr, &budget).ok());
}

TEST(KeySetTest, CountsRequestsOverAllVersions) {
  ByteBudget budget("key_set_memory", kGiB);
  const auto base = Grow(nullptr, kLayout, 10, &budget);
  const auto grown = Grow(base, kLayout, 10, &budget);
  ++base->requests_served();
  ++grown->requests_served();
  EXPECT_EQ(base->requests_served(), 2);
}

TEST(KeySetTest, RunsOfPanelsFollowOneAnotherInABlock) {
  ByteBudget budget("key_set_memory", kGiB);
  const auto set = Grow(nullptr, kLayout, kBlockKeys + 70, &budget);
  EXPECT_EQ(set->Panels(0, 0, 1000).keys.count, KeySet::kBlockPanels);
  EXPECT_EQ(set->Panels(0, 10, 1000).keys.count, KeySet::kBlockPanels - 10);
  EXPECT_EQ(set->Panels(0, 10, 3).keys.count, 3);
  EXPECT_EQ(set->Panels(0, KeySet::kBlockPanels, 1000).keys.count, 1);
  EXPECT_EQ(set->Panels(0, KeySet::kBlockPanels + 1, 1000).keys.count, 1);
}

TEST(KeySetLayoutTest, LimitsSizes) {
  EXPECT_TRUE(kLayout.Validate(0).ok());
  EXPECT_TRUE((KeySetLayout{.leading = {}, .d = 1024}.Validate(kKeySetKeysMax).ok()));
  EXPECT_FALSE(kLayout.Validate(kKeySetKeysMax + 1).ok());
  EXPECT_FALSE((KeySetLayout{.leading = {}, .d = int64_t{1} << 40}.Validate(0).ok()));
  EXPECT_FALSE((KeySetLayout{.leading = {1 << 30, 1 << 30}, .d = 0}.Validate(0).ok()));
  EXPECT_FALSE((KeySetLayout{.leading = {0, int64_t{1} << 60}, .d = 0}.Validate(0).ok()));
  EXPECT_FALSE((KeySetLayout{.leading = {}, .d = 1, .dv = std::numeric_limits<int64_t>::max()}
                    .Validate(0)
                    .ok()));
}

}  // namespace
}  // namespace qkserve
