#include "core/key_sets/key_set.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/limits.h"

namespace qkserve {
namespace {

Shape WithRows(const Shape& leading, int64_t rows, int64_t columns) {
  Shape shape = leading;
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

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

int64_t KeySetLayout::Matrices() const {
  int64_t matrices = 1;
  for (const int64_t size : leading) matrices *= size;
  return matrices;
}

Shape KeySetLayout::KeyShape(int64_t m) const { return WithRows(leading, m, d); }
Shape KeySetLayout::ValueShape(int64_t m) const { return WithRows(leading, m, dv.value_or(0)); }

absl::Status KeySetLayout::Validate(int64_t m) const {
  if (m > kKeySetKeysMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", m, " keys, a key set may have ", kKeySetKeysMax));
  }
  // With room for a whole block, and for what is charged where rows have no elements.
  const int64_t rows = std::max(m, KeySet::kBlockPanels * kPanelKeys);
  for (const int64_t columns : {d, dv.value_or(0)}) {
    const std::optional<int64_t> elements =
        ElementCount(WithRows(leading, rows, std::max<int64_t>(columns, 1)));
    if (!elements.has_value() || *elements > kKeySetElementsMax || columns > kKeySetColumnsMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "got shape ", ShapeString(WithRows(leading, m, columns)), ", which is too large"));
    }
  }
  return absl::OkStatus();
}

int64_t KeyBlock::ChargedBytes(const KeySetLayout& layout, int64_t capacity) {
  const int64_t values = layout.dv.has_value() ? ValuePanelBytes(layout.value_type, *layout.dv) : 0;
  return layout.Matrices() * capacity * (KeyPanelBytes(layout.key_type, layout.d) + values) +
         kBlockBytes;
}

absl::StatusOr<std::shared_ptr<KeyBlock>> KeyBlock::Allocate(const KeySetLayout& layout,
                                                             int64_t capacity,
                                                             ByteBudget::Charge* charge) {
  std::shared_ptr<KeyBlock> block(new KeyBlock);
  block->charge_ = charge->Split(ChargedBytes(layout, capacity));
  block->matrices_ = layout.Matrices();
  block->capacity_ = capacity;
  block->key_panel_bytes_ = KeyPanelBytes(layout.key_type, layout.d);
  block->value_panel_bytes_ =
      layout.dv.has_value() ? ValuePanelBytes(layout.value_type, *layout.dv) : 0;
  const int64_t panels = layout.Matrices() * capacity;
  for (const auto& [buffer, panel_bytes] :
       {std::pair(&block->keys_, block->key_panel_bytes_),
        std::pair(&block->values_, block->value_panel_bytes_)}) {
    absl::StatusOr<Buffer> memory =
        Buffer::AllocateZeroed(static_cast<size_t>(panels * panel_bytes));
    if (!memory.ok()) return memory.status();
    *buffer = *std::move(memory);
  }
  return block;
}

void KeyBlock::CopyPanels(KeyBlock& from, int64_t count, int64_t to) {
  for (int64_t matrix = 0; matrix < matrices_; ++matrix) {
    // Where d or dv is 0 there is no memory at all.
    if (key_panel_bytes_ > 0) {
      std::memcpy(Keys(matrix, to), from.Keys(matrix, 0),
                  static_cast<size_t>(count * key_panel_bytes_));
    }
    if (value_panel_bytes_ > 0) {
      std::memcpy(Values(matrix, to), from.Values(matrix, 0),
                  static_cast<size_t>(count * value_panel_bytes_));
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
              .data = block != nullptr ? block->Keys(matrix, in_block) : nullptr,
              .count = count,
              .d = layout_.d};
  if (!layout_.dv.has_value()) return run;
  run.values = {.type = layout_.value_type,
                .data = block != nullptr ? block->Values(matrix, in_block) : nullptr,
                .columns = *layout_.dv};
  return run;
}

absl::StatusOr<std::unique_ptr<KeySetBuilder>> KeySetBuilder::Create(
    const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
    ByteBudget* budget) {
  std::unique_ptr<KeySetBuilder> builder(new KeySetBuilder);
  builder->set_.reset(new KeySet);
  builder->set_->layout_ = layout;
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
  const bool has_tail = set.layout_.HasBytes() && set.m_ % kPanelKeys != 0;
  // In one piece: what does not fit is refused at once, by its whole size.
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
  if (!set_->layout_.HasBytes()) return blocks;
  for (int64_t first = 0; first < full; first += KeySet::kBlockPanels) {
    const auto index = static_cast<size_t>(first / KeySet::kBlockPanels);
    const int64_t needed = std::min(full - first, KeySet::kBlockPanels);
    if (index >= old.size()) {
      blocks.push_back({index, needed});
    } else if (old[index]->capacity() < needed) {
      // A block that grows gets a sixteenth more than it needs: what many small appends copy stays
      // below 20 times what they add, and unused room below a tenth of the set.
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

void KeySetBuilder::AddKeys(int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
  const KeySetLayout& layout = set_->layout_;
  const int64_t row_bytes = layout.KeyRowBytes();
  if (row_bytes == 0) return;
  ForEachPanel(base_m_ + row, count,
               [&](int64_t panel, int64_t first, int64_t piece, int64_t done) {
                 int64_t in_block = 0;
                 KeyBlock& block = BlockOf(panel, in_block);
                 PackKeys(layout.key_type, rows + done * row_bytes, piece, layout.d, first,
                          block.Keys(matrix, in_block));
               });
}

void KeySetBuilder::AddValues(int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
  const KeySetLayout& layout = set_->layout_;
  const int64_t row_bytes = layout.ValueRowBytes();
  if (row_bytes == 0) return;
  ForEachPanel(base_m_ + row, count,
               [&](int64_t panel, int64_t first, int64_t piece, int64_t done) {
                 int64_t in_block = 0;
                 KeyBlock& block = BlockOf(panel, in_block);
                 PackValues(layout.value_type, rows + done * row_bytes, piece, *layout.dv, first,
                            block.Values(matrix, in_block));
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
