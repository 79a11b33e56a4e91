#include "tests/support/key_sets.h"

#include <limits>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

// The budget is never destroyed, because sets release their charges at any time.
ByteBudget& Unlimited() {
  static auto* const budget = new ByteBudget("test", std::numeric_limits<int64_t>::max());
  return *budget;
}

}  // namespace

std::shared_ptr<const KeySet> MakeKeySet(const Tensor& keys, const Tensor* values) {
  return MakeKeySetInParts(keys, values, {keys.shape[keys.shape.size() - 2]});
}

std::shared_ptr<const KeySet> MakeKeySetInParts(const Tensor& keys, const Tensor* values,
                                                const std::vector<int64_t>& parts) {
  KeySetLayout layout;
  layout.leading.assign(keys.shape.begin(), keys.shape.end() - 2);
  layout.d = keys.shape.back();
  layout.key_type = keys.data_type;
  if (values != nullptr) {
    layout.dv = values->shape.back();
    layout.value_type = values->data_type;
  }
  const int64_t m = keys.shape[keys.shape.size() - 2];
  const int64_t key_bytes = layout.d * ElementBytes(layout.key_type);
  const int64_t value_bytes = layout.dv.value_or(0) * ElementBytes(layout.value_type);
  std::shared_ptr<const KeySet> key_set;
  int64_t done = 0;
  int64_t version = 0;
  for (const int64_t part : parts) {
    const std::unique_ptr<KeySetBuilder> builder =
        KeySetBuilder::Create(layout, part, key_set, &Unlimited()).value();
    for (int64_t matrix = 0; matrix < layout.Matrices(); ++matrix) {
      const int64_t row = matrix * m + done;
      builder->Add(ColumnId::kKeys, matrix * part, part, keys.data.data() + row * key_bytes);
      if (values == nullptr) continue;
      builder->Add(ColumnId::kValues, matrix * part, part, values->data.data() + row * value_bytes);
    }
    key_set = builder->Finish("test", ++version);
    done += part;
  }
  EXPECT_EQ(done, m);
  return key_set;
}

}  // namespace qkserve
