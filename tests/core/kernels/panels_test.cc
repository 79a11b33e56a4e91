#include "core/kernels/panels.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/kernels/element_conversion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "qkserve/buffer.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16};
constexpr int64_t kDepths[] = {0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 768, 1000};

// The instruction sets of this machine, the best first.
std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    targets.push_back(rest & -rest);
  }
  return targets;
}

// True if Highway's MulAdd rounds only once on this target.
bool IsFused(int64_t target) {
#if HWY_ARCH_X86
  return target <= HWY_AVX2;
#else
  return target < HWY_EMU128;
#endif
}

class UseTarget {
 public:
  explicit UseTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  UseTarget(const UseTarget&) = delete;
  UseTarget& operator=(const UseTarget&) = delete;
  ~UseTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

int64_t PanelCount(int64_t keys) { return (keys + kPanelKeys - 1) / kPanelKeys; }

Buffer Zeros(int64_t bytes) {
  Buffer buffer = *Buffer::Allocate(static_cast<size_t>(bytes));
  std::fill_n(buffer.data(), bytes, std::byte{0});
  return buffer;
}

float* Floats(Buffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

// Packs a [m, d] tensor, beginning at place `first` of the first panel. Each call packs at most
// `step` keys.
Buffer Pack(const TensorView& keys, int64_t step = kPanelKeys, int64_t first = 0) {
  const int64_t m = keys.shape[0];
  const int64_t d = keys.shape[1];
  const int64_t panel_bytes = KeyPanelBytes(keys.data_type, d);
  Buffer panels = Zeros(PanelCount(first + m) * panel_bytes);
  for (int64_t j = 0; j < m;) {
    const int64_t place = (first + j) % kPanelKeys;
    const int64_t count = std::min({step, m - j, kPanelKeys - place});
    PackKeys(keys.data_type, keys.data + j * d * ElementBytes(keys.data_type), count, d, place,
             panels.data() + (first + j) / kPanelKeys * panel_bytes);
    j += count;
  }
  return panels;
}

// The products [rows, panels * kPanelKeys].
std::vector<float> Multiply(const float* queries, int64_t rows, DataType type, const Buffer& panels,
                            int64_t d, int64_t panel_count) {
  const int64_t stride = panel_count * kPanelKeys + 16;
  Buffer out = Zeros(rows * stride * 4);
  std::fill_n(Floats(out), rows * stride, -7.0F);
  MultiplyPanels(queries, rows, {type, panels.data(), panel_count, d}, Floats(out), stride);
  std::vector<float> scores;
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = Floats(out) + i * stride;
    scores.insert(scores.end(), row, row + panel_count * kPanelKeys);
    EXPECT_TRUE(std::all_of(row + panel_count * kPanelKeys, row + stride,
                            [](float value) { return value == -7.0F; }));
  }
  return scores;
}

uint32_t Bits(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// True if both have the same bits, or both are NaN.
bool IsSame(float a, float b) { return (std::isnan(a) && std::isnan(b)) || Bits(a) == Bits(b); }

testing::AssertionResult AllSame(const float* a, const float* b, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!IsSame(a[i], b[i])) {
      return testing::AssertionFailure() << "[" << i << "]: " << a[i] << " and " << b[i];
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult AllSame(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << "sizes";
  return AllSame(a.data(), b.data(), a.size());
}

// start + sum of a[i] * b[i], in order, rounded once per element.
float FusedSum(float start, const float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) start = std::fma(a[i], b[i], start);
  return start;
}

std::string Case(int64_t target, DataType type, int64_t size) {
  return absl::StrCat(hwy::TargetName(target), " ", DataTypeName(type), " ", size);
}

TEST(PackedKernelTest, NamesTheInstructionSetInUse) {
  for (const int64_t target : Targets()) {
    const UseTarget use(target);
    EXPECT_EQ(PackedKernelName(), hwy::TargetName(target));
  }
}

// A sum of two NaNs may have the bits of either. The keys and the row have several kinds of NaN and
// infinities. The row's result must have the same bits, however many rows a call has.
TEST(PackedKernelTest, NanHasTheSameBitsInAnyNumberOfRows) {
  constexpr int64_t kDepth = 40;
  constexpr int64_t kRowsMax = 12;
  const std::vector<uint32_t> specials = {0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0xFFFED3AB,
                                          0x7F800000, 0xFF800000, 0x00000000};
  std::mt19937 random(1);
  for (const DataType type : kTypes) {
    Tensor keys = RandomTensor(type, {kPanelKeys, kDepth}, 1);
    const auto element_bytes = static_cast<size_t>(ElementBytes(type));
    for (int i = 0; i < 200; ++i) {
      const uint32_t bits =
          specials[random() % specials.size()] >> (type == DataType::kFloat32 ? 0 : 16);
      const size_t at = random() % (kPanelKeys * kDepth) * element_bytes;
      std::memcpy(keys.data.data() + at, &bits, element_bytes);
    }
    std::vector<float> row(kDepth, 1.0F);
    for (float& element : row) {
      if (random() % 4 != 0) continue;
      std::memcpy(&element, &specials[random() % specials.size()], sizeof(element));
    }
    UnifyNan(row.data(), kDepth);
    for (const int64_t target : Targets()) {
      SCOPED_TRACE(Case(target, type, kDepth));
      const UseTarget use(target);
      const Buffer panels = Pack(keys.View());
      const std::vector<float> alone = Multiply(row.data(), 1, type, panels, kDepth, 1);
      std::vector<float> queries = row;
      for (int64_t rows = 2; rows <= kRowsMax; ++rows) {
        queries.insert(queries.end(), row.begin(), row.end());
        const std::vector<float> scores = Multiply(queries.data(), rows, type, panels, kDepth, 1);
        for (size_t i = 0; i < scores.size(); ++i) {
          ASSERT_EQ(Bits(scores[i]), Bits(alone[i % kPanelKeys])) << rows << " rows, score " << i;
        }
      }
    }
  }
}

TEST(PackedKernelTest, ScoresAreCloseToTheReference) {
  constexpr int64_t kRows = 7;
  constexpr int64_t kKeys = 130;
  for (const DataType type : kTypes) {
    for (const int64_t d : kDepths) {
      const Tensor queries = RandomTensor(DataType::kFloat32, {kRows, d}, 1);
      const Tensor keys = RandomTensor(type, {kKeys, d}, 2);
      const std::vector<float> q = ToFloats(queries.View());
      const std::vector<float> k = ToFloats(keys.View());
      const double rounding = static_cast<double>(d) * std::ldexp(1.0, -24);
      const double gamma = rounding / (1 - rounding);
      for (const int64_t target : Targets()) {
        SCOPED_TRACE(Case(target, type, d));
        const UseTarget use(target);
        const Buffer panels = Pack(keys.View());
        const int64_t columns = PanelCount(kKeys) * kPanelKeys;
        const std::vector<float> scores =
            Multiply(q.data(), kRows, type, panels, d, PanelCount(kKeys));
        for (int64_t i = 0; i < kRows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            double sum = 0;
            double magnitude = 0;
            for (int64_t p = 0; j < kKeys && p < d; ++p) {
              const double product = static_cast<double>(q[static_cast<size_t>(i * d + p)]) *
                                     k[static_cast<size_t>(j * d + p)];
              sum += product;
              magnitude += std::abs(product);
            }
            ASSERT_NEAR(scores[static_cast<size_t>(i * columns + j)], sum, gamma * magnitude)
                << i << " " << j;
          }
        }
      }
    }
  }
}

TEST(PackedKernelTest, AScoreIsTheFusedSumInOrderOnEveryInstructionSetThatFuses) {
  constexpr int64_t kRows = 9;
  constexpr int64_t kKeys = 2 * kPanelKeys;
  for (const DataType type : kTypes) {
    for (const int64_t d : kDepths) {
      const Tensor queries = RandomTensor(DataType::kFloat32, {kRows, d}, 3);
      const Tensor keys = RandomTensor(type, {kKeys, d}, 4);
      const std::vector<float> q = ToFloats(queries.View());
      const std::vector<float> k = ToFloats(keys.View());
      std::vector<float> expected;
      for (int64_t i = 0; i < kRows; ++i) {
        for (int64_t j = 0; j < kKeys; ++j) {
          expected.push_back(FusedSum(0, q.data() + i * d, k.data() + j * d, d));
        }
      }
      for (const int64_t target : Targets()) {
        if (!IsFused(target)) continue;
        SCOPED_TRACE(Case(target, type, d));
        const UseTarget use(target);
        EXPECT_TRUE(AllSame(Multiply(q.data(), kRows, type, Pack(keys.View()), d, 2), expected));
      }
    }
  }
}

TEST(PackedKernelTest, ARowDoesNotDependOnTheRowsBesideIt) {
  constexpr int64_t kRows = 130;
  for (const int64_t target : Targets()) {
    const UseTarget use(target);
    for (const DataType type : kTypes) {
      for (const int64_t d : {17, 200}) {  // 200: several depth blocks
        SCOPED_TRACE(Case(target, type, d));
        const Tensor queries = RandomTensor(DataType::kFloat32, {kRows, d}, 5);
        const Tensor keys = RandomTensor(type, {kPanelKeys, d}, 6);
        const std::vector<float> q = ToFloats(queries.View());
        const Buffer panels = Pack(keys.View());
        std::vector<float> alone;
        for (int64_t i = 0; i < kRows; ++i) {
          const auto row = Multiply(q.data() + i * d, 1, type, panels, d, 1);
          alone.insert(alone.end(), row.begin(), row.end());
        }
        for (int64_t rows = 2; rows <= kRows; ++rows) {
          if (!IsFused(target) && rows > 20 && rows < kRows) continue;  // these are slow
          const int64_t first = (kRows - rows) / 2;
          const auto together = Multiply(q.data() + first * d, rows, type, panels, d, 1);
          ASSERT_TRUE(AllSame(together.data(), alone.data() + first * kPanelKeys, together.size()))
              << rows << " rows";
        }
      }
    }
  }
}

TEST(PackedKernelTest, AKeyDoesNotDependOnItsPlaceNorOnThePanelsBesideIt) {
  constexpr int64_t kRows = 14;
  constexpr int64_t kKeys = 150;
  for (const int64_t target : Targets()) {
    const UseTarget use(target);
    for (const DataType type : kTypes) {
      for (const int64_t d : {3, 64, 130}) {
        SCOPED_TRACE(Case(target, type, d));
        const Tensor queries = RandomTensor(DataType::kFloat32, {kRows, d}, 7);
        const Tensor keys = RandomTensor(type, {kKeys, d}, 8);
        const std::vector<float> q = ToFloats(queries.View());
        const int64_t columns = PanelCount(kKeys) * kPanelKeys;
        const std::vector<float> expected =
            Multiply(q.data(), kRows, type, Pack(keys.View()), d, PanelCount(kKeys));
        for (const int64_t first : {1, 5, 16, 31, 32, 63, 64, 100}) {
          const int64_t panels = PanelCount(first + kKeys);
          const auto moved =
              Multiply(q.data(), kRows, type, Pack(keys.View(), 64, first), d, panels);
          for (int64_t i = 0; i < kRows; ++i) {
            ASSERT_TRUE(AllSame(moved.data() + i * panels * kPanelKeys + first,
                                expected.data() + i * columns, kKeys))
                << first;
          }
        }
      }
    }
  }
}

TEST(PackedKernelTest, PackingInPiecesGivesTheSamePanels) {
  constexpr int64_t kKeys = 140;
  for (const DataType type : kTypes) {
    for (const int64_t d : kDepths) {
      if (d == 0) continue;  // there are no panels
      const Tensor keys = RandomTensor(type, {kKeys, d}, 9);
      const auto size = static_cast<size_t>(PanelCount(kKeys) * KeyPanelBytes(type, d));
      const Buffer whole = Pack(keys.View());
      // The same rows, but not aligned.
      std::vector<std::byte> bytes(keys.data.size_bytes() + 1);
      std::memcpy(bytes.data() + 1, keys.data.data(), keys.data.size_bytes());
      const TensorView unaligned = {type, {kKeys, d}, bytes.data() + 1};
      for (const int64_t target : Targets()) {
        SCOPED_TRACE(Case(target, type, d));
        const UseTarget use(target);
        for (const int64_t step : {1, 3, 8, 13, 33, 64}) {
          EXPECT_EQ(std::memcmp(Pack(unaligned, step).data(), whole.data(), size), 0) << step;
        }
      }
    }
  }
}

TEST(PackedKernelTest, QueriesNeedNoAlignment) {
  constexpr int64_t kDepth = 100;
  const Tensor queries = RandomTensor(DataType::kFloat32, {8, kDepth}, 10);
  const Tensor keys = RandomTensor(DataType::kFloat32, {kPanelKeys, kDepth}, 11);
  const std::vector<float> q = ToFloats(queries.View());
  std::vector<float> moved(q.size() + 1);
  std::copy(q.begin(), q.end(), moved.begin() + 1);
  const Buffer panels = Pack(keys.View());
  EXPECT_TRUE(AllSame(Multiply(q.data(), 8, DataType::kFloat32, panels, kDepth, 1),
                      Multiply(moved.data() + 1, 8, DataType::kFloat32, panels, kDepth, 1)));
}

TEST(PackedKernelTest, SubnormalsInfinitiesAndNanAreWhatIeeeSays) {
  constexpr int64_t kDepth = 5;
  constexpr int64_t kKeys = 40;
  // Subnormals of the key's own type, and infinities that meet zeros and each other.
  const float specials[] = {1e-40F, -1e-7F, kInfinity, -kInfinity, kNan,
                            0,      1,      -65504,    3e-8F,      -0.0F};
  for (const DataType type : kTypes) {
    std::vector<float> values;
    for (int64_t i = 0; i < kKeys * kDepth; ++i) {
      values.push_back(specials[static_cast<size_t>((i * i + i / 7) % 10)]);
    }
    Tensor keys = EmptyTensor(type, {kKeys, kDepth});
    ConvertFromFloat32(type, values.data(), kKeys * kDepth, keys.data.data());
    const std::vector<float> k = ToFloats(keys.View());
    const std::vector<float> q = {1e-3F, 2,      kInfinity, -1, 0, 1e-40F, 1, 0,
                                  1e30F, 1e-30F, 0,         0,  0, 0,      1};
    for (const int64_t target : Targets()) {
      SCOPED_TRACE(Case(target, type, kDepth));
      const UseTarget use(target);
      const auto scores = Multiply(q.data(), 3, type, Pack(keys.View()), kDepth, 1);
      for (int64_t i = 0; i < 3; ++i) {
        for (int64_t j = 0; j < kKeys; ++j) {
          const float expected = FusedSum(0, q.data() + i * kDepth, k.data() + j * kDepth, kDepth);
          const float score = scores[static_cast<size_t>(i * kPanelKeys + j)];
          if (IsFused(target)) {
            EXPECT_TRUE(IsSame(score, expected)) << i << " " << j;
          } else {
            EXPECT_EQ(std::isnan(score), std::isnan(expected)) << i << " " << j;
            EXPECT_EQ(std::isinf(score), std::isinf(expected)) << i << " " << j;
          }
        }
      }
    }
  }
}

// --- Values -------------------------------------------------------------------------------------

Buffer PackAllValues(const TensorView& values, int64_t step = kPanelKeys) {
  const int64_t m = values.shape[0];
  const int64_t columns = values.shape[1];
  const int64_t panel_bytes = ValuePanelBytes(values.data_type, columns);
  Buffer panels = Zeros(PanelCount(m) * panel_bytes);
  for (int64_t j = 0; j < m;) {
    const int64_t place = j % kPanelKeys;
    const int64_t count = std::min({step, m - j, kPanelKeys - place});
    PackValues(values.data_type, values.data + j * columns * ElementBytes(values.data_type), count,
               columns, place, panels.data() + j / kPanelKeys * panel_bytes);
    j += count;
  }
  return panels;
}

// The sums, which start at zero. `plus` and `minus` are the largest scores of keys with infinities
// or NaN. A score of 0 has weight 1.
struct Sums {
  std::vector<double> out;
  std::unique_ptr<bool[]> met;
  std::vector<float> plus;
  std::vector<float> minus;
};

// Returns the sums of the weighted values. Each call weighs at most `row_step` rows.
Sums Weigh(const std::vector<float>& weights, int64_t rows, int64_t keys, const ValuePanels& values,
           int64_t row_step = 1000) {
  const int64_t columns = values.columns;
  const auto size = static_cast<size_t>(rows * columns);
  std::vector<double> max(static_cast<size_t>(rows));
  std::vector<double> unused(static_cast<size_t>(rows));
  Sums sums = {.out = std::vector<double>(size),
               .met = std::make_unique<bool[]>(static_cast<size_t>(rows)),
               .plus = std::vector<float>(size),
               .minus = std::vector<float>(size)};
  for (int64_t i = 0; i < rows; i += row_step) {
    AddWeightedPanels(weights.data() + i * keys, keys, std::min(row_step, rows - i), values, keys,
                      {.columns = columns,
                       .stride = columns,
                       .out = sums.out.data() + i * columns,
                       .max = max.data() + i,
                       .sum = unused.data() + i,
                       .met = sums.met.get() + i,
                       .plus = sums.plus.data() + i * columns,
                       .minus = sums.minus.data() + i * columns});
  }
  return sums;
}

// True if |got - exact| <= 1.2e-6 * sum of |w v| for all sums.
testing::AssertionResult AllWithinBound(const std::vector<double>& got,
                                        const std::vector<float>& weights,
                                        const std::vector<float>& values, int64_t columns) {
  const int64_t keys = static_cast<int64_t>(values.size()) / columns;
  for (size_t at = 0; at < got.size(); ++at) {
    const int64_t i = static_cast<int64_t>(at) / columns;
    double exact = 0;
    double magnitude = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double product =
          static_cast<double>(weights[static_cast<size_t>(i * keys + j)]) *
          static_cast<double>(
              values[static_cast<size_t>(j * columns + static_cast<int64_t>(at) % columns)]);
      exact += product;
      magnitude += std::abs(product);
    }
    if (!(std::abs(got[at] - exact) <= 1.2e-6 * magnitude)) {
      return testing::AssertionFailure()
             << "[" << at << "]: " << got[at] << ", expected " << exact << " of " << magnitude;
    }
  }
  return testing::AssertionSuccess();
}

TEST(PackedKernelTest, PackedValuesAreTheirRows) {
  for (const DataType type : kTypes) {
    const Tensor values = RandomTensor(type, {150, 7}, 11);
    for (const int64_t step : {1, 3, 64}) {
      EXPECT_EQ(std::memcmp(PackAllValues(values.View(), step).data(), values.data.data(),
                            values.data.size_bytes()),
                0);
    }
  }
}

TEST(PackedKernelTest, WeightedValuesAreCloseToTheReference) {
  for (const DataType type : kTypes) {
    for (const int64_t columns : {1, 2, 7, 8, 15, 16, 17, 31, 64, 65, 100, 128, 200, 300}) {
      for (const int64_t keys : {1, 5, 31, 64, 150, 512}) {
        const Tensor values = RandomTensor(type, {keys, columns}, 12);
        const std::vector<float> v = ToFloats(values.View());
        for (const int64_t rows : {1, 2, 3, 4, 5, 6, 19}) {
          if (keys * columns * rows > 512 * 100 * 19) continue;  // slow
          const std::vector<float> w =
              ToFloats(RandomTensor(DataType::kFloat32, {rows, keys}, 13).View());
          for (const int64_t target : Targets()) {
            SCOPED_TRACE(Case(target, type, columns));
            const UseTarget use(target);
            const Buffer panels = PackAllValues(values.View());
            ASSERT_TRUE(AllWithinBound(Weigh(w, rows, keys, {type, panels.data(), columns}).out, w,
                                       v, columns))
                << rows << " rows, " << keys << " keys";
          }
        }
      }
    }
  }
}

// Equal terms have equal rounding errors, which may add up.
TEST(PackedKernelTest, ErrorsOfEqualTermsDoNotPileUp) {
  for (const int64_t keys : {32, 33, 512, 4000}) {
    for (const int64_t columns : {1, 40, 700}) {
      for (const float value : {0.7F, 1.1F, 973.3F, 1.0F / 3}) {
        const std::vector<float> v(static_cast<size_t>(keys * columns), value);
        const std::vector<float> w(static_cast<size_t>(keys), 0.9F);
        for (const int64_t target : Targets()) {
          const UseTarget use(target);
          const ValuePanels values = {DataType::kFloat32,
                                      reinterpret_cast<const std::byte*>(v.data()), columns};
          ASSERT_TRUE(AllWithinBound(Weigh(w, 1, keys, values).out, w, v, columns))
              << hwy::TargetName(target) << " " << keys << " x " << columns << " of " << value;
        }
      }
    }
  }
}

TEST(PackedKernelTest, WeightedValuesDoNotDependOnCutsOfRows) {
  constexpr int64_t kRows = 25;
  constexpr int64_t kKeys = 150;
  for (const int64_t target : Targets()) {
    const UseTarget use(target);
    for (const DataType type : kTypes) {
      for (const int64_t columns : {3, 17, 272}) {
        SCOPED_TRACE(Case(target, type, columns));
        const std::vector<float> w =
            ToFloats(RandomTensor(DataType::kFloat32, {kRows, kKeys}, 14).View());
        const Tensor rows = RandomTensor(type, {kKeys, columns}, 15);
        const ValuePanels values = {type, rows.data.data(), columns};
        const std::vector<double> whole = Weigh(w, kRows, kKeys, values).out;
        for (const int64_t row_step : {1, 2, 3, 7, 18}) {
          EXPECT_EQ(Weigh(w, kRows, kKeys, values, row_step).out, whole) << row_step << " rows";
        }
      }
    }
  }
}

TEST(PackedKernelTest, ValuesAreNotReadBeyondTheirEnd) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const mapped =
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const end = static_cast<std::byte*>(mapped) + page;
  ASSERT_EQ(mprotect(end, page, PROT_NONE), 0);
  for (const DataType type : kTypes) {
    for (int64_t columns = 1; columns <= 40; ++columns) {
      for (const int64_t keys : {1, 2, 3, 17, 24}) {
        const Tensor values = RandomTensor(type, {keys, columns}, 16);
        std::byte* const rows = end - values.data.size_bytes();
        std::memcpy(rows, values.data.data(), values.data.size_bytes());
        const std::vector<float> w =
            ToFloats(RandomTensor(DataType::kFloat32, {7, keys}, 17).View());
        for (const int64_t target : Targets()) {
          const UseTarget use(target);
          ASSERT_TRUE(AllWithinBound(Weigh(w, 7, keys, {type, rows, columns}).out, w,
                                     ToFloats(values.View()), columns))
              << Case(target, type, columns);
        }
      }
    }
  }
  munmap(mapped, 2 * page);
}

TEST(PackedKernelTest, AValueOfWeightZeroAddsNothingEvenNan) {
  constexpr int64_t kKeys = 70;
  for (const DataType type : kTypes) {
    for (const int64_t columns : {3, 20, 130}) {
      Tensor values = RandomTensor(type, {kKeys, columns}, 16);
      const Tensor clean = RandomTensor(type, {kKeys, columns}, 16);
      std::vector<float> v = ToFloats(values.View());
      for (int64_t c = 0; c < columns; ++c) {
        v[static_cast<size_t>(3 * columns + c)] = kNan;
        v[static_cast<size_t>(66 * columns + c)] = c % 2 == 0 ? kInfinity : -kInfinity;
      }
      ConvertFromFloat32(type, v.data(), kKeys * columns, values.data.data());
      for (const int64_t target : Targets()) {
        SCOPED_TRACE(Case(target, type, columns));
        const UseTarget use(target);
        for (const int64_t rows : {1, 4, 30}) {
          std::vector<float> w =
              ToFloats(RandomTensor(DataType::kFloat32, {rows, kKeys}, 17).View());
          for (int64_t i = 0; i < rows; ++i) {
            w[static_cast<size_t>(i * kKeys + 3)] = i % 2 == 0 ? 0.0F : -0.0F;
            w[static_cast<size_t>(i * kKeys + 66)] = 0;
          }
          const std::vector<double> expected =
              Weigh(w, rows, kKeys, {type, clean.data.data(), columns}).out;
          const auto weigh = [&] {
            return Weigh(w, rows, kKeys, {type, values.data.data(), columns});
          };
          Sums sums = weigh();
          EXPECT_EQ(sums.out, expected);
          for (int64_t i = 0; i < rows; ++i) EXPECT_FALSE(sums.met[static_cast<size_t>(i)]);
          EXPECT_THAT(sums.plus, testing::Each(0.0F));
          EXPECT_THAT(sums.minus, testing::Each(0.0F));
          // The infinities have a weight in the first row, and the NaN has one in the last.
          w[66] = 0.25F;
          w[static_cast<size_t>((rows - 1) * kKeys + 3)] = 0.5F;
          sums = weigh();
          for (size_t at = 0; at < expected.size(); ++at) {
            EXPECT_NEAR(sums.out[at], expected[at], 1e-4);
          }
          for (int64_t i = 0; i < rows; ++i) {
            const bool sees_infinity = i == 0;
            const bool sees_nan = i == rows - 1;
            EXPECT_EQ(sums.met[static_cast<size_t>(i)], sees_infinity || sees_nan);
            if (!sees_infinity && !sees_nan) continue;
            for (int64_t c = 0; c < columns; ++c) {
              const auto at = static_cast<size_t>(i * columns + c);
              const float other = sees_nan ? std::log(0.5F) : -kInfinity;
              const float own = sees_nan ? std::log(0.5F) : std::log(0.25F);
              EXPECT_FLOAT_EQ(sums.plus[at], c % 2 == 0 ? own : other);
              EXPECT_FLOAT_EQ(sums.minus[at], c % 2 == 0 ? other : own);
            }
          }
        }
      }
    }
  }
}

TEST(PackedKernelTest, SumsOfFiniteValuesDoNotOverflow) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const int64_t columns : {1, 16, 70}) {
    for (const int64_t keys : {2, 64, 512}) {
      std::vector<float> v(static_cast<size_t>(keys * columns), kLargest);
      std::fill(v.begin(), v.begin() + columns, -kLargest);
      const std::vector<float> w(static_cast<size_t>(3 * keys), 1.0F);
      for (const int64_t target : Targets()) {
        const UseTarget use(target);
        const ValuePanels values = {DataType::kFloat32,
                                    reinterpret_cast<const std::byte*>(v.data()), columns};
        for (const double sum : Weigh(w, 3, keys, values).out) {
          ASSERT_EQ(sum, static_cast<double>(keys - 2) * static_cast<double>(kLargest))
              << hwy::TargetName(target) << " " << keys << " x " << columns;
        }
      }
    }
  }
}

TEST(PackedKernelTest, NothingToDoIsDone) {
  float out[kPanelKeys] = {};
  MultiplyPanels(nullptr, 0, {DataType::kFloat16, nullptr, 3, 4}, out, kPanelKeys);
  MultiplyPanels(out, 1, {DataType::kBfloat16, nullptr, 0, 4}, out, kPanelKeys);
  double sums[16] = {};
  AddWeightedPanels(out, 1, 1, {DataType::kFloat32, nullptr, 16}, 0, {16, 16, sums});
  AddWeightedPanels(out, 1, 1, {DataType::kFloat32, nullptr, 0}, 1, {0, 0, sums});
  PackKeys(DataType::kFloat32, nullptr, 0, 4, 0, nullptr);
  PackValues(DataType::kFloat32, nullptr, 2, 0, 0, nullptr);
  EXPECT_EQ(sums[0], 0);
  EXPECT_EQ(out[0], 0);
}

}  // namespace
}  // namespace qkserve
