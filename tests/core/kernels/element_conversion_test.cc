#include "core/kernels/element_conversion.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/float16.h"
#include "gtest/gtest.h"
#include "tests/support/for_each_target.h"

namespace qkserve {
namespace {

// Computes the value bit by bit, from the definition of the formats.
double HalfValue(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  double value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(1024 + fraction, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

double Bfloat16Value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

double Value(DataType type, uint16_t bits) {
  return type == DataType::kFloat16 ? HalfValue(bits) : Bfloat16Value(bits);
}

std::vector<uint16_t> AllBits() {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  return bits;
}

uint16_t Narrow(DataType type, float value) {
  uint16_t bits = 0;
  ConvertFromFloat32(type, &value, 1, reinterpret_cast<std::byte*>(&bits));
  return bits;
}

TEST(ElementConversionTest, WidensToTheValuesOfTheScalarConversion) {
  const std::vector<uint16_t> bits = AllBits();
  for (const DataType type : {DataType::kFloat16, DataType::kBfloat16}) {
    const auto* const elements = reinterpret_cast<const std::byte*>(bits.data());
    const std::vector<float> scalar = ElementsAsFloat({type, {65536}, elements});
    ForEachTarget([&] {
      std::vector<float> wide(bits.size());
      ConvertToFloat32(type, elements, 65536, wide.data());
      for (size_t i = 0; i < bits.size(); ++i) {
        if (std::isnan(scalar[i])) {
          EXPECT_TRUE(std::isnan(wide[i])) << i;
        } else {
          EXPECT_EQ(std::bit_cast<uint32_t>(wide[i]), std::bit_cast<uint32_t>(scalar[i])) << i;
        }
      }
    });
  }
}

class ElementTypesTest : public testing::TestWithParam<DataType> {};
INSTANTIATE_TEST_SUITE_P(Types, ElementTypesTest,
                         testing::Values(DataType::kFloat16, DataType::kBfloat16));

TEST_P(ElementTypesTest, WidensEveryValueExactly) {
  const std::vector<uint16_t> bits = AllBits();
  ForEachTarget([&] {
    std::vector<float> wide(bits.size());
    ConvertToFloat32(GetParam(), reinterpret_cast<const std::byte*>(bits.data()), 65536,
                     wide.data());
    for (size_t i = 0; i < bits.size(); ++i) {
      const double expected = Value(GetParam(), bits[i]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(wide[i])) << i;
      } else {
        EXPECT_EQ(wide[i], expected) << i;
        EXPECT_EQ(std::signbit(wide[i]), std::signbit(expected)) << i;
      }
    }
  });
}

TEST_P(ElementTypesTest, NarrowsBackToTheSameBits) {
  const std::vector<uint16_t> bits = AllBits();
  ForEachTarget([&] {
    std::vector<float> wide(bits.size());
    std::vector<uint16_t> narrow(bits.size());
    ConvertToFloat32(GetParam(), reinterpret_cast<const std::byte*>(bits.data()), 65536,
                     wide.data());
    ConvertFromFloat32(GetParam(), wide.data(), 65536, reinterpret_cast<std::byte*>(narrow.data()));
    for (size_t i = 0; i < bits.size(); ++i) {
      if (std::isnan(wide[i])) {
        EXPECT_TRUE(std::isnan(Value(GetParam(), narrow[i]))) << i;
      } else {
        EXPECT_EQ(narrow[i], bits[i]) << i;
      }
    }
  });
}

TEST_P(ElementTypesTest, RoundsToNearestTiesToEven) {
  // The middle between two neighbours is rounded to the even neighbour. Other values are rounded to
  // the nearer neighbour.
  ForEachTarget([] {
    for (uint16_t low = 0; std::isfinite(Value(GetParam(), low + 1)); ++low) {
      const uint16_t high = low + 1;
      const auto middle =
          static_cast<float>((Value(GetParam(), low) + Value(GetParam(), high)) / 2);
      ASSERT_EQ(Narrow(GetParam(), middle), low % 2 == 0 ? low : high) << low;
      ASSERT_EQ(Narrow(GetParam(), std::nextafter(middle, 0.0F)), low) << low;
      ASSERT_EQ(Narrow(GetParam(), std::nextafter(middle, std::numeric_limits<float>::infinity())),
                high)
          << low;
    }
  });
}

TEST_P(ElementTypesTest, BeyondTheRangeIsInfinityAndNanStaysNan) {
  const float inf = std::numeric_limits<float>::infinity();
  // A NaN whose payload is only in the bits that are cut off.
  const auto nan = std::bit_cast<float>(0x7F800001U);
  ForEachTarget([&] {
    EXPECT_EQ(Value(GetParam(), Narrow(GetParam(), std::numeric_limits<float>::max())), inf);
    EXPECT_EQ(Value(GetParam(), Narrow(GetParam(), -inf)), -inf);
    EXPECT_TRUE(std::isnan(Value(GetParam(), Narrow(GetParam(), nan))));
    EXPECT_TRUE(std::isnan(Value(GetParam(), Narrow(GetParam(), -nan))));
    EXPECT_EQ(Narrow(GetParam(), -1e-45F), 0x8000);
  });
  if (GetParam() != DataType::kFloat16) return;
  ForEachTarget([&] {
    EXPECT_EQ(Value(GetParam(), Narrow(GetParam(), 65519.0F)), 65504);
    EXPECT_EQ(Value(GetParam(), Narrow(GetParam(), -65520.0F)), -inf);
    EXPECT_EQ(Value(GetParam(), Narrow(GetParam(), 131072.0F)), inf);
  });
}

TEST_P(ElementTypesTest, EveryCountTouchesItsElementsOnly) {
  for (int64_t count = 0; count < 70; ++count) {
    std::vector<uint16_t> bits(71, 0x3F80);
    std::vector<float> wide(71, 7.0F);
    ConvertToFloat32(GetParam(), reinterpret_cast<const std::byte*>(bits.data()), count,
                     wide.data());
    for (int64_t i = 0; i < 71; ++i) {
      EXPECT_EQ(wide[i], i < count ? Value(GetParam(), 0x3F80) : 7.0) << count << " " << i;
    }
    std::vector<uint16_t> narrow(71, 0xABCD);
    const std::vector<float> ones(71, 1.0F);
    ConvertFromFloat32(GetParam(), ones.data(), count, reinterpret_cast<std::byte*>(narrow.data()));
    for (int64_t i = 0; i < 71; ++i) {
      EXPECT_EQ(narrow[i], i < count ? Narrow(GetParam(), 1.0F) : 0xABCD) << count << " " << i;
    }
  }
}

}  // namespace
}  // namespace qkserve
