#include "server/rpc/tensor_codec.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(DataType::kFloat32) == v1::FLOAT32);
static_assert(static_cast<int>(DataType::kFloat16) == v1::FLOAT16);
static_assert(static_cast<int>(DataType::kBfloat16) == v1::BFLOAT16);
static_assert(static_cast<int>(DataType::kBool) == v1::BOOL);
static_assert(static_cast<int>(DataType::kInt32) == v1::INT32);

constexpr int kRankMax = 4;

absl::Status CheckShape(const Shape& shape, absl::string_view name) {
  for (const int64_t size : shape) {
    if (size < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ".shape: got ", ShapeString(shape), ", expected sizes of 0 or more"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Invalid(absl::string_view field, absl::string_view got, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", expected ", expected));
}

absl::StatusOr<DataType> DecodeFloatType(int value, absl::string_view name,
                                         absl::string_view others) {
  if (IsFloatType(value)) return static_cast<DataType>(value);
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": got ",
                   value == 0                    ? "none"
                   : v1::DataType_IsValid(value) ? v1::DataType_Name(value)
                                                 : absl::StrCat(value),
                   ", expected ", others, "FLOAT32, FLOAT16 or BFLOAT16"));
}

absl::StatusOr<TensorView> DecodeTensor(const v1::Tensor& tensor, absl::string_view name,
                                        const TensorRule& rule) {
  TensorView view;
  if (rule.bool_too && tensor.data_type() == v1::BOOL) {
    view.data_type = DataType::kBool;
  } else {
    const absl::StatusOr<DataType> type = DecodeFloatType(
        tensor.data_type(), absl::StrCat(name, ".data_type"), rule.bool_too ? "BOOL, " : "");
    if (!type.ok()) return type.status();
    view.data_type = *type;
  }
  // The rank first: a shape from outside may be of any length.
  if (tensor.shape_size() < rule.rank_min || tensor.shape_size() > kRankMax) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got rank ", tensor.shape_size(),
                                                   ", expected rank ",
                                                   rule.rank_min == 2 ? "2, 3 or 4" : "1 to 4"));
  }
  view.shape.assign(tensor.shape().begin(), tensor.shape().end());
  const absl::Status status = CheckShape(view.shape, name);
  if (!status.ok()) return status;
  const std::optional<int64_t> elements = ElementCount(view.shape);
  int64_t bytes = 0;
  if (!elements.has_value() ||
      __builtin_mul_overflow(*elements, ElementBytes(view.data_type), &bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got ", ShapeString(view.shape),
                                                   ", more elements than 64 bits can count"));
  }
  if (static_cast<uint64_t>(bytes) != tensor.data().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".data: got ", tensor.data().size(), " bytes, expected ", bytes, " for ",
                     DataTypeName(view.data_type), " ", ShapeString(view.shape)));
  }
  view.data = reinterpret_cast<const std::byte*>(tensor.data().data());
  return view;
}

void EncodeTensor(DataType type, const Shape& shape, const std::byte* data, int64_t bytes,
                  v1::Tensor& tensor) {
  tensor.set_data_type(static_cast<v1::DataType>(type));
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  if (bytes > 0) {
    tensor.set_data(reinterpret_cast<const char*>(data), static_cast<size_t>(bytes));
  }
}

}  // namespace qkserve
