#include "core/key_sets/row_stream.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/kernels/element_conversion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

using testing::HasSubstr;

absl::string_view BytesOf(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size_bytes()};
}

// Gathers rows, and checks that they arrive in order.
class Gatherer {
 public:
  explicit Gatherer(int64_t row_bytes) : row_bytes_(row_bytes) {}

  RowSink Sink() {
    return [this](int64_t row, int64_t count, const std::byte* rows) {
      EXPECT_EQ(row, next_);
      next_ += count;
      bytes_.append(reinterpret_cast<const char*>(rows), static_cast<size_t>(count * row_bytes_));
      return absl::OkStatus();
    };
  }
  const std::string& bytes() const { return bytes_; }

 private:
  const int64_t row_bytes_;
  int64_t next_ = 0;
  std::string bytes_;
};

TEST(RowStreamTest, MakesTheSameRowsOfAnyCut) {
  const Tensor tensor = RandomTensor(DataType::kFloat32, {3, 100, 7}, 1);
  const absl::string_view bytes = BytesOf(tensor);
  for (const size_t piece :
       {size_t{1}, size_t{5}, size_t{27}, size_t{28}, size_t{29}, size_t{1000}, bytes.size()}) {
    Gatherer gatherer(28);
    RowStream stream({"keys", DataType::kFloat32, 3, 100, 7}, DataType::kFloat32, gatherer.Sink());
    for (size_t at = 0; at < bytes.size(); at += piece) {
      ASSERT_TRUE(stream.Add(bytes.substr(at, piece)).ok());
      ASSERT_TRUE(stream.Add("").ok());
    }
    EXPECT_TRUE(stream.Finish().ok());
    EXPECT_TRUE(gatherer.bytes() == bytes) << piece;
  }
}

TEST(RowStreamTest, ConvertsToTheTypeThatRowsAreKeptIn) {
  for (const DataType from : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    const Tensor tensor = RandomTensor(from, {2, 50, 9}, 2);
    Tensor wide = RandomTensor(DataType::kFloat32, {2, 50, 9}, 3);
    const std::vector<float> floats = ToFloats(tensor.View());
    std::memcpy(wide.data.data(), floats.data(), floats.size() * 4);
    for (const DataType to : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
      std::string whole;
      for (const size_t piece : {size_t{100000}, size_t{13}}) {
        Gatherer gatherer(9 * ElementBytes(to));
        RowStream stream({"keys", from, 2, 50, 9}, to, gatherer.Sink());
        const absl::string_view bytes = BytesOf(tensor);
        for (size_t at = 0; at < bytes.size(); at += piece) {
          ASSERT_TRUE(stream.Add(bytes.substr(at, piece)).ok());
        }
        ASSERT_TRUE(stream.Finish().ok());
        EXPECT_TRUE(whole.empty() || gatherer.bytes() == whole);
        whole = gatherer.bytes();
      }
      EXPECT_TRUE(to != DataType::kFloat32 || whole == BytesOf(wide));
      EXPECT_TRUE(to != from || whole == BytesOf(tensor));
    }
  }
}

// Adds 3 matrices of 100 x 9 ones of type `from`, with `value` at matrix 1, row 70, column 5.
absl::Status AddWith(float value, DataType from, DataType to, size_t piece) {
  Tensor tensor = RandomTensor(from, {3, 100, 9}, 5);
  ConvertFromFloat32(from, &value, 1, tensor.data.data() + (170 * 9 + 5) * ElementBytes(from));
  RowStream stream({"values", from, 3, 100, 9}, to,
                   [](int64_t, int64_t, const std::byte*) { return absl::OkStatus(); });
  const absl::string_view bytes = BytesOf(tensor);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    absl::Status status = stream.Add(bytes.substr(at, piece));
    if (!status.ok()) return status;
  }
  return stream.Finish();
}

TEST(RowStreamTest, RefusesFiniteElementsThatTheTypeCannotHold) {
  using enum DataType;
  for (const size_t piece : {size_t{100000}, size_t{13}}) {
    // 65520 is halfway between 65504, the largest float16, and 65536. It is rounded to infinity.
    for (const float value : {65520.0F, -65520.0F, 70000.0F, 3e38F}) {
      for (const DataType from : {kFloat32, kBfloat16}) {
        const absl::Status status = AddWith(value, from, kFloat16, piece);
        EXPECT_TRUE(absl::IsInvalidArgument(status)) << value << " " << status;
        EXPECT_THAT(status.message(), HasSubstr("in matrix 1, row 70, column 5"));
        EXPECT_THAT(status.message(), HasSubstr("at most 65504"));
        EXPECT_THAT(status.message(), HasSubstr("of FLOAT16"));
      }
    }
    EXPECT_THAT(AddWith(-70000.0F, kFloat32, kFloat16, piece).message(),
                HasSubstr("values: got -70000 in"));
    const absl::Status status =
        AddWith(std::numeric_limits<float>::max(), kFloat32, kBfloat16, piece);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("at most 3.38953e+38 in magnitude, the largest of B"));
  }
}

TEST(RowStreamTest, KeepsInfinityNanAndTheLargestElements) {
  using enum DataType;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float below_halfway = std::nextafter(65520.0F, 0.0F);
  for (const float value : {kInfinity, -kInfinity, std::nanf(""), 65504.0F, below_halfway}) {
    for (const DataType from : {kFloat32, kFloat16, kBfloat16}) {
      // In bfloat16, these values are rounded to 65536.
      if (from == kBfloat16 && std::isfinite(value)) continue;
      if (from == kFloat16 && value == below_halfway) continue;
      for (const DataType to : {kFloat32, kFloat16, kBfloat16}) {
        EXPECT_TRUE(AddWith(value, from, to, 1000).ok()) << value;
      }
    }
  }
  EXPECT_TRUE(AddWith(3.38953e38F, kFloat32, kBfloat16, 1000).ok());
}

TEST(RowStreamTest, LongRowsGoOneByOne) {
  const int64_t columns = 300'000;
  const Tensor tensor = RandomTensor(DataType::kFloat32, {3, columns}, 4);
  int64_t calls = 0;
  RowStream stream({"keys", DataType::kFloat32, 1, 3, columns}, DataType::kFloat32,
                   [&](int64_t, int64_t count, const std::byte*) {
                     EXPECT_EQ(count, 1);
                     ++calls;
                     return absl::OkStatus();
                   });
  ASSERT_TRUE(stream.Add(BytesOf(tensor)).ok());
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(calls, 3);
}

TEST(RowStreamTest, SaysWhatIsMissingOrTooMuch) {
  Gatherer gatherer(8);
  RowStream stream({"values", DataType::kFloat32, 1, 2, 2}, DataType::kFloat32, gatherer.Sink());
  const std::string bytes(16, '\0');
  ASSERT_TRUE(stream.Add(bytes.substr(0, 10)).ok());
  const absl::Status missing = stream.Finish();
  EXPECT_TRUE(absl::IsInvalidArgument(missing));
  EXPECT_THAT(missing.message(), HasSubstr("values: got 10 bytes of FLOAT32"));
  const absl::Status more = stream.Add(bytes);
  EXPECT_TRUE(absl::IsInvalidArgument(more));
  EXPECT_THAT(more.message(), HasSubstr("values: got more than the 16 bytes"));
  ASSERT_TRUE(stream.Add(bytes.substr(0, 6)).ok());
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(RowStreamTest, TensorsMayHaveNoElements) {
  for (const RowStream::Source& source : {RowStream::Source{"keys", DataType::kFloat32, 3, 0, 5},
                                          RowStream::Source{"keys", DataType::kFloat32, 0, 3, 5},
                                          RowStream::Source{"keys", DataType::kFloat32, 3, 5, 0}}) {
    RowStream stream(source, DataType::kFloat16, [](int64_t, int64_t, const std::byte*) {
      return absl::InternalError("there are none");
    });
    EXPECT_TRUE(stream.Add("").ok());
    EXPECT_TRUE(stream.Finish().ok());
    EXPECT_FALSE(stream.Add("x").ok());
  }
}

TEST(RowStreamTest, StopsAtAnErrorOfTheSink) {
  RowStream stream({"keys", DataType::kFloat32, 1, 200, 1}, DataType::kFloat32,
                   [](int64_t, int64_t, const std::byte*) {
                     return absl::ResourceExhaustedError("the disk is full");
                   });
  EXPECT_TRUE(absl::IsResourceExhausted(stream.Add(std::string(800, '\0'))));
}

}  // namespace
}  // namespace qkserve
