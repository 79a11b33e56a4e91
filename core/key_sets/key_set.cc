#include "core/key_sets/key_set.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace qkserve {
namespace {

// Calls fn(panel, first, count, done) for the pieces of keys [key, key + count) that lie in one
// panel each: `count` places from `first` on, `done` keys after the first one.
template <class Fn>
void ForEachPanel(int64_t key, int64_t count, const Fn& fn) {
  for (int64_t done = 0; done < count;) {
    const int64_t first = (key + done) % kPanelKeys;
    const int64_t piece = std::min(kPanelKeys - first, count - done);
    fn((key + done) / kPanelKeys, first, piece, done);
    done += piece;
  }
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
    absl::StatusOr<Buffer> bytes = Buffer::AllocateZeroed(
        static_cast<size_t>(layout.Matrices() * capacity * memory.panel_bytes));
    if (!bytes.ok()) return bytes.status();
    memory.bytes = *std::move(bytes);
  }
  return block;
}

void KeyBlock::CopyPanels(KeyBlock& from, int64_t count, int64_t to) {
  for (size_t i = 0; i < kColumnCount; ++i) {
    const auto id = static_cast<ColumnId>(i);
    const auto bytes = static_cast<size_t>(count * columns_[id].panel_bytes);
    if (bytes == 0) continue;  // there is no memory at all
    for (int64_t matrix = 0; matrix < matrices_; ++matrix) {
      std::memcpy(Panel(id, matrix, to), from.Panel(id, matrix, 0), bytes);
    }
  }
}

uint64_t KeySet::NextId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

int64_t KeySet::memory_bytes() const {
  int64_t bytes = tail_ != nullptr ? tail_->bytes() : 0;
  for (const std::shared_ptr<KeyBlock>& block : blocks_) bytes += block->bytes();
  return bytes;
}

PanelRun KeySet::Panels(int64_t matrix, int64_t panel, int64_t count_max) const {
  KeyBlock* block = tail_.get();
  int64_t in_block = 0;
  int64_t count = 1;
  if (panel < FullPanels()) {
    in_block = panel % kBlockPanels;
    count = std::min({count_max, FullPanels() - panel, kBlockPanels - in_block});
    block = blocks_.empty() ? nullptr : blocks_[static_cast<size_t>(panel / kBlockPanels)].get();
  }
  PanelRun run;
  run.keys = {.type = layout_.key_type,
              .data = block != nullptr ? block->Panel(ColumnId::kKeys, matrix, in_block) : nullptr,
              .count = count,
              .d = layout_.d};
  if (!layout_.dv.has_value()) return run;
  run.values = {
      .type = layout_.value_type,
      .data = block != nullptr ? block->Panel(ColumnId::kValues, matrix, in_block) : nullptr,
      .columns = *layout_.dv};
  return run;
}

absl::StatusOr<std::unique_ptr<KeySetBuilder>> KeySetBuilder::Create(
    const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
    ByteBudget* budget) {
  std::unique_ptr<KeySetBuilder> builder(new KeySetBuilder);
  builder->set_.reset(new KeySet);
  builder->set_->layout_ = layout;
  builder->columns_ = layout.Columns();
  builder->base_m_ = base != nullptr ? base->m() : 0;
  builder->set_->m_ = builder->base_m_ + keys;
  if (base != nullptr) builder->set_->base_version_ = base->base_version();
  absl::Status status = builder->AllocateBlocks(base.get(), budget);
  if (!status.ok()) return status;
  return builder;
}

absl::Status KeySetBuilder::AllocateBlocks(const KeySet* base, ByteBudget* budget) {
  KeySet& set = *set_;
  if (base != nullptr) set.blocks_ = base->blocks_;
  const std::vector<NewBlock> blocks = NewBlocks();
  const bool has_tail = set.layout_.BytesFor(1) > 0 && set.m_ % kPanelKeys != 0;
  // Charged in one piece, so that a set that does not fit is refused at once, by its whole size.
  int64_t bytes = has_tail ? KeyBlock::ChargedBytes(set.layout_, 1) : 0;
  for (const NewBlock& block : blocks) bytes += KeyBlock::ChargedBytes(set.layout_, block.capacity);
  absl::StatusOr<ByteBudget::Charge> charge = budget->TryCharge(bytes);
  if (!charge.ok()) return charge.status();
  for (const auto& [index, capacity] : blocks) {
    absl::StatusOr<std::shared_ptr<KeyBlock>> block =
        KeyBlock::Allocate(set.layout_, capacity, &*charge);
    if (!block.ok()) return block.status();
    if (index < set.blocks_.size()) {
      const int64_t first = static_cast<int64_t>(index) * KeySet::kBlockPanels;
      const int64_t used = std::min(base->FullPanels() - first, KeySet::kBlockPanels);
      (*block)->CopyPanels(*set.blocks_[index], used, 0);
      set.blocks_[index] = *std::move(block);
    } else {
      set.blocks_.push_back(*std::move(block));
    }
  }
  if (has_tail) {
    absl::StatusOr<std::shared_ptr<KeyBlock>> tail = KeyBlock::Allocate(set.layout_, 1, &*charge);
    if (!tail.ok()) return tail.status();
    set.tail_ = *std::move(tail);
  }
  // The keys that did not fill a panel begin the first panel that is new.
  if (base != nullptr && base->tail_ != nullptr) {
    int64_t in_block = 0;
    KeyBlock& block = BlockOf(base->FullPanels(), in_block);
    block.CopyPanels(*base->tail_, 1, in_block);
  }
  return absl::OkStatus();
}

std::vector<KeySetBuilder::NewBlock> KeySetBuilder::NewBlocks() const {
  const std::vector<std::shared_ptr<KeyBlock>>& old = set_->blocks_;
  const int64_t full = set_->FullPanels();
  std::vector<NewBlock> blocks;
  if (set_->layout_.BytesFor(1) == 0) return blocks;
  for (int64_t first = 0; first < full; first += KeySet::kBlockPanels) {
    const auto index = static_cast<size_t>(first / KeySet::kBlockPanels);
    const int64_t needed = std::min(full - first, KeySet::kBlockPanels);
    if (index >= old.size()) {
      blocks.push_back({index, needed});
    } else if (old[index]->capacity() < needed) {
      // A block that grows gets a sixteenth more than it needs. Many small appends then copy at
      // most 20 times the bytes that they add, and less than a tenth of the set is unused room.
      blocks.push_back({index, std::min(needed + needed / 16, KeySet::kBlockPanels)});
    }
  }
  return blocks;
}

KeyBlock& KeySetBuilder::BlockOf(int64_t panel, int64_t& panel_in_block) {
  if (panel >= set_->FullPanels()) {
    panel_in_block = 0;
    return *set_->tail_;
  }
  panel_in_block = panel % KeySet::kBlockPanels;
  return *set_->blocks_[static_cast<size_t>(panel / KeySet::kBlockPanels)];
}

void KeySetBuilder::Add(ColumnId id, int64_t matrix, int64_t row, int64_t count,
                        const std::byte* rows) {
  const Column& column = columns_[id];
  const int64_t row_bytes = column.RowBytes();
  if (row_bytes == 0) return;
  ForEachPanel(base_m_ + row, count,
               [&](int64_t panel, int64_t first, int64_t piece, int64_t done) {
                 int64_t in_block = 0;
                 KeyBlock& block = BlockOf(panel, in_block);
                 column.pack(column.type, rows + done * row_bytes, piece, column.width, first,
                             block.Panel(id, matrix, in_block));
               });
}

std::shared_ptr<const KeySet> KeySetBuilder::Finish(const std::string& name, int64_t version,
                                                    std::shared_ptr<std::atomic<int64_t>> served,
                                                    std::optional<int64_t> base_version) {
  set_->name_ = name;
  set_->version_ = version;
  if (set_->base_version_ == 0) set_->base_version_ = version;
  if (base_version.has_value()) set_->base_version_ = *base_version;
  set_->requests_served_ =
      served != nullptr ? std::move(served) : std::make_shared<std::atomic<int64_t>>(0);
  return std::move(set_);
}

}  // namespace qkserve
