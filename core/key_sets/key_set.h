#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "core/kernels/block_product.h"
#include "core/kernels/panels.h"
#include "core/key_sets/key_set_layout.h"
#include "core/scoring/packed_keys.h"
#include "qkserve/buffer.h"

namespace qkserve {

// Memory for `capacity` panels of each matrix and column. A panel belongs to the builder of the
// first version that has it. It never changes after that version is finished.
class KeyBlock {
 public:
  // The bytes charged for a block: its panels, and about the size of the block itself.
  static int64_t ChargedBytes(const KeySetLayout& layout, int64_t capacity);
  // Allocates a zeroed block. Moves the block's bytes out of `charge`. RESOURCE_EXHAUSTED: the
  // system has no memory.
  static absl::StatusOr<std::shared_ptr<KeyBlock>> Allocate(const KeySetLayout& layout,
                                                            int64_t capacity,
                                                            ByteBudget::Charge* charge);

  int64_t capacity() const { return capacity_; }
  int64_t bytes() const { return charge_.bytes(); }

  // The address of a panel. Panels of one matrix follow one another.
  std::byte* Panel(ColumnId id, int64_t matrix, int64_t panel) {
    PanelMemory& memory = columns_[id];
    return memory.bytes.data() + (matrix * capacity_ + panel) * memory.panel_bytes;
  }

  // Copies the first `count` panels of every matrix of `from` to panel `to` and those behind it.
  void CopyPanels(KeyBlock& from, int64_t count, int64_t to);

 private:
  static constexpr int64_t kBlockBytes = 512;

  struct PanelMemory {
    int64_t panel_bytes = 0;
    Buffer bytes;
  };

  KeyBlock() = default;

  ByteBudget::Charge charge_;  // first, so that it is returned after the memory
  int64_t matrices_ = 0;
  int64_t capacity_ = 0;
  PerColumn<PanelMemory> columns_;
};

// One version of a key set: its keys and values, packed for the kernel. Immutable, thread-safe.
//
// Full panels stand in blocks of kBlockPanels; the last of these blocks may have fewer. All
// versions from the put on share them. The keys that do not fill a panel stand in a last block of
// their own, which an append copies. So a version costs the memory of the keys that it adds, and of
// one panel. Rows without bytes need no block.
class KeySet final : public PackedKeys {
 public:
  static constexpr int64_t kBlockPanels = 64;

  // Unique among the versions of all key sets that this process ever had.
  uint64_t id() const { return id_; }
  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  // The version of the put that this version grew from.
  int64_t base_version() const { return base_version_; }
  const KeySetLayout& layout() const { return layout_; }
  int64_t m() const { return sizes().m; }

  // Bytes of the blocks that this version holds, also of those that it shares.
  int64_t memory_bytes() const;

  PanelRun Panels(int64_t matrix, int64_t panel, int64_t count_max) const override;

  // The number of requests answered on any version of the set. All versions share the count, also
  // those of later puts.
  std::atomic<int64_t>& requests_served() const { return *requests_served_; }
  std::shared_ptr<std::atomic<int64_t>> shared_requests_served() const { return requests_served_; }

 private:
  friend class KeySetBuilder;
  KeySet(const KeySetLayout& layout, int64_t m);

  int64_t FullPanels() const { return m() / kPanelKeys; }
  int64_t FullBlocks() const { return CeilDivide(FullPanels(), kBlockPanels); }
  // The block of a panel, and the panel's place in it. Null: rows have no bytes.
  std::pair<KeyBlock*, int64_t> Find(int64_t panel) const;

  const uint64_t id_;
  std::string name_;
  int64_t version_ = 0;
  int64_t base_version_ = 0;
  const KeySetLayout layout_;
  std::vector<std::shared_ptr<KeyBlock>> blocks_;
  std::shared_ptr<std::atomic<int64_t>> requests_served_;
};

// Makes a version from rows. Not thread-safe, except that several threads may call Add for
// different panels.
class KeySetBuilder {
 public:
  // Begins a version of `keys` new keys behind those of `base`, or a new set if `base` is null.
  // `base` must be the newest version, and no other builder may be at work on it: the builder
  // writes full panels into memory that the versions share. Allocates all memory and charges it to
  // `budget`. RESOURCE_EXHAUSTED: there is not enough.
  static absl::StatusOr<std::unique_ptr<KeySetBuilder>> Create(
      const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
      ByteBudget* budget);

  // Packs rows row to row + count - 1 of a column. They have its type, and need not be aligned.
  // Rows are counted over the new keys of all matrices, which follow one another.
  void Add(ColumnId id, int64_t row, int64_t count, const std::byte* rows);

  // Returns the version. Called once, after every row was added; the builder must not be used any
  // more. `served` is the counter of the set's other versions, or null for a new set.
  // `base_version` is given if the set is read from files. Otherwise it is that of the base or, for
  // a new set, `version`.
  std::shared_ptr<const KeySet> Finish(const std::string& name, int64_t version,
                                       std::shared_ptr<std::atomic<int64_t>> served = nullptr,
                                       std::optional<int64_t> base_version = std::nullopt);

 private:
  explicit KeySetBuilder(std::shared_ptr<KeySet> set, int64_t base_m)
      : set_(std::move(set)), columns_(set_->layout().Columns()), base_m_(base_m) {}

  // The panels that each block of the new version is allocated with. 0: the block is that of the
  // base.
  std::vector<int64_t> NewCapacities(const KeySet* base) const;
  absl::Status AllocateBlocks(const KeySet* base, ByteBudget* budget);

  std::shared_ptr<KeySet> set_;
  const PerColumn<Column> columns_;
  const int64_t base_m_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_H_
