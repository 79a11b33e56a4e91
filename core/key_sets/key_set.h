#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "core/kernels/panels.h"
#include "qkserve/buffer.h"
#include "qkserve/tensor.h"

namespace qkserve {

// What all versions of a key set from one put on have in common.
struct KeySetLayout {
  Shape leading;  // [], [batch] or [batch, heads]
  int64_t d = 0;
  DataType key_type = DataType::kFloat32;    // that they are kept in
  std::optional<int64_t> dv = std::nullopt;  // none: no values
  DataType value_type = DataType::kFloat32;

  // [m, d] matrices: the product of the leading dimensions.
  int64_t Matrices() const;
  Shape KeyShape(int64_t m) const;    // [.., m, d]
  Shape ValueShape(int64_t m) const;  // [.., m, dv]

  // Of one row as it stands in a file; 0 where there are no values.
  int64_t KeyRowBytes() const { return d * ElementBytes(key_type); }
  int64_t ValueRowBytes() const { return dv.value_or(0) * ElementBytes(value_type); }
  bool HasBytes() const { return Matrices() * (KeyRowBytes() + ValueRowBytes()) > 0; }

  // INVALID_ARGUMENT: `m` keys are more than a set may have, or sizes in bytes do not fit in 64
  // bits, now or when keys are appended. Of types and sizes from outside, that are not negative.
  absl::Status Validate(int64_t m) const;

  friend bool operator==(const KeySetLayout&, const KeySetLayout&) = default;
};

// Memory for `capacity` panels of keys, and values, of each matrix. A panel's memory belongs to
// who is building a version until the first version that shows it, and never changes after.
class KeyBlock {
 public:
  // Bytes charged for a block: its panels, and about the size of the block itself.
  static int64_t ChargedBytes(const KeySetLayout& layout, int64_t capacity);
  // All zero; takes its part of `charge`. RESOURCE_EXHAUSTED: the system has no memory.
  static absl::StatusOr<std::shared_ptr<KeyBlock>> Allocate(const KeySetLayout& layout,
                                                            int64_t capacity,
                                                            ByteBudget::Charge* charge);

  int64_t capacity() const { return capacity_; }
  int64_t bytes() const { return charge_.bytes(); }

  // The panels of one matrix follow one another.
  std::byte* Keys(int64_t matrix, int64_t panel) {
    return keys_.data() + (matrix * capacity_ + panel) * key_panel_bytes_;
  }
  std::byte* Values(int64_t matrix, int64_t panel) {
    return values_.data() + (matrix * capacity_ + panel) * value_panel_bytes_;
  }

  // Copies the first `count` panels of every matrix of `from` to panel `to` and those behind it.
  void CopyPanels(KeyBlock& from, int64_t count, int64_t to);

 private:
  static constexpr int64_t kBlockBytes = 512;

  KeyBlock() = default;

  ByteBudget::Charge charge_;  // first, so that it is returned when the memory has gone
  int64_t matrices_ = 0;
  int64_t capacity_ = 0;
  int64_t key_panel_bytes_ = 0;
  int64_t value_panel_bytes_ = 0;
  Buffer keys_, values_;
};

// A run of panels of one matrix that stand in one block.
struct PanelRun {
  KeyPanels keys;
  ValuePanels values;  // where the set has them
};

// One version of a key set: keys, and values, packed for the kernel. Immutable, thread-safe.
//
// Full panels stand in blocks of kBlockPanels (the last block may have fewer) and are shared by all
// versions from the put on; the keys that do not fill a panel stand in a block of their own, which
// an append copies. So a version costs what it adds, and one panel. Rows of no bytes need no block.
class KeySet {
 public:
  static constexpr int64_t kBlockPanels = 64;

  // Unique among the versions of all key sets that this process ever had.
  uint64_t id() const { return id_; }
  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  // The version of the put that this one grew from.
  int64_t base_version() const { return base_version_; }
  const KeySetLayout& layout() const { return layout_; }
  int64_t m() const { return m_; }
  int64_t panel_count() const { return (m_ + kPanelKeys - 1) / kPanelKeys; }

  // Bytes of the blocks that this version holds, alone or with others.
  int64_t memory_bytes() const;

  // From panel `panel` on, at least one and at most `count_max` panels.
  PanelRun Panels(int64_t matrix, int64_t panel, int64_t count_max) const;

  // Requests answered on any version of the set. Shared by them all, also over puts.
  std::atomic<int64_t>& requests_served() const { return *requests_served_; }
  std::shared_ptr<std::atomic<int64_t>> shared_requests_served() const { return requests_served_; }

 private:
  friend class KeySetBuilder;
  KeySet() = default;

  static uint64_t NextId();
  int64_t FullPanels() const { return m_ / kPanelKeys; }

  const uint64_t id_ = NextId();
  std::string name_;
  int64_t version_ = 0;
  int64_t base_version_ = 0;
  KeySetLayout layout_;
  int64_t m_ = 0;
  std::vector<std::shared_ptr<KeyBlock>> blocks_;
  std::shared_ptr<KeyBlock> tail_;  // m % kPanelKeys keys; null where that is 0
  std::shared_ptr<std::atomic<int64_t>> requests_served_;
};

// Makes a version out of rows. Not thread-safe, but AddKeys and AddValues may be called from
// several threads for different panels.
class KeySetBuilder {
 public:
  // `keys` new keys behind those of `base`, or for a new set where `base` is null. `base` must be
  // the newest version, and no other builder may be at work on it: full panels are written into
  // memory that the versions share. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<KeySetBuilder>> Create(
      const KeySetLayout& layout, int64_t keys, const std::shared_ptr<const KeySet>& base,
      ByteBudget* budget);

  // `count` rows of the set's type, in row-major order and not necessarily aligned: new keys row,
  // row + 1, ... (0 <= row, row + count <= keys) of one matrix.
  void AddKeys(int64_t matrix, int64_t row, int64_t count, const std::byte* rows);
  void AddValues(int64_t matrix, int64_t row, int64_t count, const std::byte* rows);

  // The version; every row must have been added. `served` is that of the set's other versions, or
  // null for a new set. `base_version` is given for a set that was put earlier and is read from
  // files; otherwise it is that of the base or, of a new set, `version`. The builder is empty then.
  std::shared_ptr<const KeySet> Finish(const std::string& name, int64_t version,
                                       std::shared_ptr<std::atomic<int64_t>> served = nullptr,
                                       std::optional<int64_t> base_version = std::nullopt);

  const KeySetLayout& layout() const { return set_->layout_; }

 private:
  KeySetBuilder() = default;

  struct NewBlock {
    size_t index;
    int64_t capacity;
  };
  // Those that the new version needs beside what is there, in order.
  std::vector<NewBlock> NewBlocks() const;
  absl::Status AllocateBlocks(const KeySet* base, ByteBudget* budget);
  // Where a panel of the new version is.
  KeyBlock& BlockOf(int64_t panel, int64_t& panel_in_block);

  std::shared_ptr<KeySet> set_;
  int64_t base_m_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_H_
