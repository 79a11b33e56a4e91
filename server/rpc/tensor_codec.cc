#include "server/rpc/tensor_codec.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(DataType::kFloat32) == v1::FLOAT32);
static_assert(static_cast<int>(DataType::kFloat16) == v1::FLOAT16);
static_assert(static_cast<int>(DataType::kBfloat16) == v1::BFLOAT16);
static_assert(static_cast<int>(DataType::kBool) == v1::BOOL);
static_assert(static_cast<int>(DataType::kInt32) == v1::INT32);

constexpr int kRankMax = 4;

absl::Status DecodeType(const v1::Tensor& tensor, absl::string_view name, bool bool_too,
                        DataType& type) {
  if (IsFloatType(tensor.data_type()) || (bool_too && tensor.data_type() == v1::BOOL)) {
    type = static_cast<DataType>(tensor.data_type());
    return absl::OkStatus();
  }
  return DecodeFloatType(tensor.data_type(), absl::StrCat(name, ".data_type"),
                         bool_too ? "BOOL, " : "")
      .status();
}

absl::Status DecodeShape(const v1::Tensor& tensor, absl::string_view name, int rank_min,
                         Shape& shape) {
  // The rank first: a shape from outside may be of any length.
  if (tensor.shape_size() < rank_min || tensor.shape_size() > kRankMax) {
    return FieldError(absl::StrCat(name, ".shape"), absl::StrCat("rank ", tensor.shape_size()),
                      rank_min == 2 ? "rank 2, 3 or 4" : "rank 1 to 4");
  }
  shape.assign(tensor.shape().begin(), tensor.shape().end());
  if (std::all_of(shape.begin(), shape.end(), [](int64_t size) { return size >= 0; })) {
    return absl::OkStatus();
  }
  return FieldError(absl::StrCat(name, ".shape"), ShapeString(shape), "sizes of 0 or more");
}

}  // namespace

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
  absl::Status status = DecodeType(tensor, name, rule.bool_too, view.data_type);
  if (status.ok()) status = DecodeShape(tensor, name, rule.rank_min, view.shape);
  if (!status.ok()) return status;
  const std::optional<int64_t> elements = ElementCount(view.shape);
  int64_t bytes = 0;
  if (!elements.has_value() ||
      __builtin_mul_overflow(*elements, ElementBytes(view.data_type), &bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".shape: got ", ShapeString(view.shape),
                                                   ", more elements than 64 bits can count"));
  }
  if (static_cast<uint64_t>(bytes) != tensor.data().size()) {
    return FieldError(
        absl::StrCat(name, ".data"), absl::StrCat(tensor.data().size(), " bytes"),
        absl::StrCat(bytes, " for ", DataTypeName(view.data_type), " ", ShapeString(view.shape)));
  }
  view.data = reinterpret_cast<const std::byte*>(tensor.data().data());
  return view;
}

void EncodeTensor(DataType type, absl::Span<const int64_t> shape, const std::byte* data,
                  int64_t bytes, v1::Tensor& tensor) {
  tensor.set_data_type(static_cast<v1::DataType>(type));
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  if (bytes > 0) {
    tensor.set_data(reinterpret_cast<const char*>(data), static_cast<size_t>(bytes));
  }
}

}  // namespace qkserve
