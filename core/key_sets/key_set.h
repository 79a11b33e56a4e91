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

// Memory for `capacity` panels of each matrix and column. A panel is written only by the builder of
// the first version that has it. After that version is finished, the panel never changes.
class KeyBlock {
 public:
  // Returns the bytes to charge for a block: its panels, and kBlockBytes for the KeyBlock object.
  static int64_t ChargedBytes(const KeySetLayout& layout, int64_t capacity);
  // Allocates a zeroed block. Moves the block's bytes from `charge` to the block.
  // RESOURCE_EXHAUSTED: the system has no memory.
  static absl::StatusOr<std::shared_ptr<KeyBlock>> Allocate(const KeySetLayout& layout,
                                                            int64_t capacity,
                                                            ByteBudget::Charge* charge);

  int64_t capacity() const { return capacity_; }
  int64_t bytes() const { return charge_.bytes(); }

  // Returns the address of a panel. The panels of one matrix are contiguous.
  std::byte* Panel(ColumnId id, int64_t matrix, int64_t panel) {
    PanelMemory& memory = columns_[id];
    return memory.bytes.data() + (matrix * capacity_ + panel) * memory.panel_bytes;
  }

  // Copies the first `count` panels of every matrix of `from`. The copies begin at panel `to`.
  void CopyPanels(KeyBlock& from, int64_t count, int64_t to);

 private:
  static constexpr int64_t kBlockBytes = 512;

  struct PanelMemory {
    int64_t panel_bytes = 0;
    Buffer bytes;
  };

  KeyBlock() = default;

  ByteBudget::Charge charge_;  // first, because it must be returned after the memory is freed
  int64_t matrices_ = 0;
  int64_t capacity_ = 0;
  PerColumn<PanelMemory> columns_;
};

// One version of a key set: its keys and values, packed for the kernel. Immutable, thread-safe.
//
// Full panels are in blocks of kBlockPanels panels; the last of these blocks may have fewer. The
// versions that grew from one put share these blocks. The keys that do not fill a panel are in one
// more block, which an append copies. A version therefore costs the memory of the keys that it adds
// and of one panel. Rows without bytes need no block.
class KeySet final : public PackedKeys {
 public:
  static constexpr int64_t kBlockPanels = 64;

  // Returns an id that no other version of any key set ever had in this process.
  uint64_t id() const { return id_; }
  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  // Returns the version of the put that this version grew from.
  int64_t base_version() const { return base_version_; }
  const KeySetLayout& layout() const { return layout_; }
  int64_t m() const { return sizes().m; }

  // Returns the bytes of all blocks that this version holds, shared or not.
  int64_t memory_bytes() const;

  PanelRun Panels(int64_t matrix, int64_t panel, int64_t count_max) const override;

  // Returns the number of requests that were answered on any version of the set. All versions share
  // this count, even after another put.
  std::atomic<int64_t>& requests_served() const { return *requests_served_; }
  std::shared_ptr<std::atomic<int64_t>> shared_requests_served() const { return requests_served_; }

 private:
  friend class KeySetBuilder;
  KeySet(const KeySetLayout& layout, int64_t m);

  int64_t FullPanels() const { return m() / kPanelKeys; }
  int64_t FullBlocks() const { return CeilDivide(FullPanels(), kBlockPanels); }
  // Returns the block of a panel and the panel's index in the block. The block is null if rows have
  // no bytes.
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
  // Begins a version that adds `keys` keys after those of `base`, or a new set if `base` is null.
  // `base` must be the newest version and must have no other builder, because the builder writes
  // full panels into memory that the versions share. Allocates all memory and charges it to
  // `budget`. RESOURCE_EXHAUSTED: there is not enough memory.
  static absl::StatusOr<std::unique_ptr<KeySetBuilder>> Create(
      const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
      ByteBudget* budget);

  // Packs rows `row` to `row + count - 1` of a column. The rows have the column's type and need not
  // be aligned. Row numbers count the new keys of all matrices, matrix after matrix.
  void Add(ColumnId id, int64_t row, int64_t count, const std::byte* rows);

  // Returns the version. Call it once, after every row was added, and do not use the builder
  // afterwards. `served` is the counter of the set's other versions, or null for a new set.
  // `base_version` is given if the set is read from files. The default is the base_version of the
  // base or, for a new set, `version`.
  std::shared_ptr<const KeySet> Finish(const std::string& name, int64_t version,
                                       std::shared_ptr<std::atomic<int64_t>> served = nullptr,
                                       std::optional<int64_t> base_version = std::nullopt);

 private:
  explicit KeySetBuilder(std::shared_ptr<KeySet> set, int64_t base_m)
      : set_(std::move(set)), columns_(set_->layout().Columns()), base_m_(base_m) {}

  // Returns the capacity in panels of each block of the new version. 0: the block of the base is
  // shared.
  std::vector<int64_t> NewCapacities(const KeySet* base) const;
  absl::Status AllocateBlocks(const KeySet* base, ByteBudget* budget);

  std::shared_ptr<KeySet> set_;
  const PerColumn<Column> columns_;
  const int64_t base_m_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_H_
