#include "core/key_sets/key_set.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"

namespace qkserve {
namespace {

uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

int64_t KeyBlock::ChargedBytes(const KeySetLayout& layout, int64_t capacity) {
  int64_t panel_bytes = 0;
  for (const Column& column : layout.Columns()) panel_bytes += column.PanelBytes();
  return layout.Matrices() * capacity * panel_bytes + kBlockBytes;
}

absl::StatusOr<std::shared_ptr<KeyBlock>> KeyBlock::Allocate(const KeySetLayout& layout,
                                                             int64_t capacity,
                                                             ByteBudget::Charge* charge) {
  std::shared_ptr<KeyBlock> block(new KeyBlock);
  block->charge_ = charge->Split(ChargedBytes(layout, capacity));
  block->matrices_ = layout.Matrices();
  block->capacity_ = capacity;
  for (const Column& column : layout.Columns()) {
    PanelMemory& memory = block->columns_[column.id];
    memory.panel_bytes = column.PanelBytes();
    const int64_t bytes = layout.Matrices() * capacity * memory.panel_bytes;
    ASSIGN_OR_RETURN(memory.bytes, Buffer::AllocateZeroed(static_cast<size_t>(bytes)));
  }
  return block;
}

void KeyBlock::CopyPanels(KeyBlock& from, int64_t count, int64_t to) {
  for (size_t i = 0; i < kColumnCount; ++i) {
    const auto id = static_cast<ColumnId>(i);
    const auto bytes = static_cast<size_t>(count * columns_[id].panel_bytes);
    if (bytes == 0) continue;  // the column has no memory
    for (int64_t matrix = 0; matrix < matrices_; ++matrix) {
      std::memcpy(Panel(id, matrix, to), from.Panel(id, matrix, 0), bytes);
    }
  }
}

KeySet::KeySet(const KeySetLayout& layout, int64_t m)
    : PackedKeys(
          {.matrices = layout.Matrices(), .m = m, .d = layout.d, .dv = layout.dv.value_or(0)},
          {.keys = layout.key_type, .values = layout.value_type}),
      id_(NextId()),
      layout_(layout) {}

int64_t KeySet::memory_bytes() const {
  int64_t bytes = 0;
  for (const std::shared_ptr<KeyBlock>& block : blocks_) bytes += block->bytes();
  return bytes;
}

std::pair<KeyBlock*, int64_t> KeySet::Find(int64_t panel) const {
  if (blocks_.empty()) return {nullptr, 0};
  if (panel >= FullPanels()) return {blocks_.back().get(), 0};
  return {blocks_[static_cast<size_t>(panel / kBlockPanels)].get(), panel % kBlockPanels};
}

PanelRun KeySet::Panels(int64_t matrix, int64_t panel, int64_t count_max) const {
  const std::pair<KeyBlock*, int64_t> place = Find(panel);
  const auto data = [&](ColumnId id) {
    return place.first != nullptr ? place.first->Panel(id, matrix, place.second) : nullptr;
  };
  int64_t count = 1;
  if (panel < FullPanels()) {
    count = std::min({count_max, FullPanels() - panel, kBlockPanels - panel % kBlockPanels});
  }
  PanelRun run;
  run.keys = {
      .type = layout_.key_type, .data = data(ColumnId::kKeys), .count = count, .d = layout_.d};
  if (!layout_.dv.has_value()) return run;
  run.values = {
      .type = layout_.value_type, .data = data(ColumnId::kValues), .columns = *layout_.dv};
  return run;
}

absl::StatusOr<std::unique_ptr<KeySetBuilder>> KeySetBuilder::Create(
    const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
    ByteBudget* budget) {
  const int64_t base_m = base != nullptr ? base->m() : 0;
  std::shared_ptr<KeySet> set(new KeySet(layout, base_m + keys));
  if (base != nullptr) set->base_version_ = base->base_version();
  std::unique_ptr<KeySetBuilder> builder(new KeySetBuilder(std::move(set), base_m));
  RETURN_IF_ERROR(builder->AllocateBlocks(base.get(), budget));
  return builder;
}

std::vector<int64_t> KeySetBuilder::NewCapacities(const KeySet* base) const {
  const size_t base_blocks = base != nullptr ? static_cast<size_t>(base->FullBlocks()) : 0;
  const int64_t full = set_->FullPanels();
  std::vector<int64_t> capacities;
  for (int64_t first = 0; first < full; first += KeySet::kBlockPanels) {
    const int64_t needed = std::min(full - first, KeySet::kBlockPanels);
    const size_t index = capacities.size();
    if (index >= base_blocks) {
      capacities.push_back(needed);
    } else if (base->blocks_[index]->capacity() >= needed) {
      capacities.push_back(0);
    } else {
      // A block that grows gets a sixteenth more than it needs. Many small appends then copy at
      // most 20 times the bytes that they add, and less than a tenth of the set is unused.
      capacities.push_back(std::min(needed + needed / 16, KeySet::kBlockPanels));
    }
  }
  if (set_->m() % kPanelKeys != 0) capacities.push_back(1);
  return capacities;
}

absl::Status KeySetBuilder::AllocateBlocks(const KeySet* base, ByteBudget* budget) {
  KeySet& set = *set_;
  if (set.layout_.BytesFor(1) == 0) return absl::OkStatus();
  const std::vector<int64_t> capacities = NewCapacities(base);
  // All bytes are charged together. A set that does not fit is then refused at once, with an error
  // that tells the size of the whole set.
  int64_t bytes = 0;
  for (const int64_t capacity : capacities) {
    if (capacity > 0) bytes += KeyBlock::ChargedBytes(set.layout_, capacity);
  }
  ASSIGN_OR_RETURN(ByteBudget::Charge charge, budget->TryCharge(bytes));
  for (const int64_t capacity : capacities) {
    const auto index = static_cast<int64_t>(set.blocks_.size());
    const bool is_in_base = base != nullptr && index < base->FullBlocks();
    std::shared_ptr<KeyBlock> block = is_in_base ? base->blocks_[set.blocks_.size()] : nullptr;
    if (capacity > 0) {
      const std::shared_ptr<KeyBlock> old = std::move(block);
      ASSIGN_OR_RETURN(block, KeyBlock::Allocate(set.layout_, capacity, &charge));
      const int64_t first = index * KeySet::kBlockPanels;
      if (old != nullptr) {
        block->CopyPanels(*old, std::min(base->FullPanels() - first, KeySet::kBlockPanels), 0);
      }
    }
    set.blocks_.push_back(std::move(block));
  }
  // The first new panel begins with the keys that did not fill a panel of the base.
  if (base != nullptr && base->m() % kPanelKeys != 0) {
    const auto [block, in_block] = set.Find(base->FullPanels());
    block->CopyPanels(*base->blocks_.back(), 1, in_block);
  }
  return absl::OkStatus();
}

void KeySetBuilder::Add(ColumnId id, int64_t row, int64_t count, const std::byte* rows) {
  const Column& column = columns_[id];
  const int64_t row_bytes = column.RowBytes();
  if (row_bytes == 0) return;
  const int64_t added = set_->m() - base_m_;
  while (count > 0) {
    const int64_t key = base_m_ + row % added;
    const int64_t first = key % kPanelKeys;
    // The next rows that belong to one panel.
    const int64_t piece = std::min({count, kPanelKeys - first, set_->m() - key});
    const auto [block, in_block] = set_->Find(key / kPanelKeys);
    column.pack(column.type, rows, piece, column.width, first,
                block->Panel(id, row / added, in_block));
    row += piece;
    rows += piece * row_bytes;
    count -= piece;
  }
}

std::shared_ptr<const KeySet> KeySetBuilder::Finish(const std::string& name, int64_t version,
                                                    std::shared_ptr<std::atomic<int64_t>> served,
                                                    std::optional<int64_t> base_version) {
  const int64_t base_or_new = set_->base_version_ != 0 ? set_->base_version_ : version;
  set_->name_ = name;
  set_->version_ = version;
  set_->base_version_ = base_version.value_or(base_or_new);
  set_->requests_served_ =
      served != nullptr ? std::move(served) : std::make_shared<std::atomic<int64_t>>(0);
  return std::move(set_);
}

}  // namespace qkserve
