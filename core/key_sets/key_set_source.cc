#include "core/key_sets/key_set_source.h"

#include <utility>

#include "core/scoring/packed_keys.h"

namespace qkserve {
namespace {

class KeySetSource final : public PackedKeys {
 public:
  explicit KeySetSource(std::shared_ptr<const KeySet> key_set)
      : PackedKeys({.matrices = key_set->layout().Matrices(),
                    .m = key_set->m(),
                    .d = key_set->layout().d,
                    .dv = key_set->layout().dv.value_or(0)},
                   {.keys = key_set->layout().key_type, .values = key_set->layout().value_type}),
        key_set_(std::move(key_set)) {}

  PanelRun Panels(int64_t matrix, int64_t panel, int64_t count_max) const override {
    return key_set_->Panels(matrix, panel, count_max);
  }

 private:
  const std::shared_ptr<const KeySet> key_set_;
};

}  // namespace

std::shared_ptr<const KeySource> MakeKeySource(std::shared_ptr<const KeySet> key_set) {
  return std::make_shared<KeySetSource>(std::move(key_set));
}

}  // namespace qkserve
