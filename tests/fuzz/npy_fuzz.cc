#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "formats/npy.h"
#include "formats/npy_header.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/fuzz/tensor_file_checks.h"

namespace qkserve {
namespace {

constexpr NpyType kNpyTypes[] = {NpyType::kFloat32, NpyType::kFloat16, NpyType::kBool,
                                 NpyType::kInt32, NpyType::kInt64};

// Writes the header again after it was read, and reads the result.
void CheckNpyHeader(absl::string_view input) {
  const absl::StatusOr<NpyPreamble> preamble = ParseNpyPreamble(input);
  if (!preamble.ok()) return;
  const absl::string_view rest = input.substr(static_cast<size_t>(preamble->preamble_bytes));
  const absl::StatusOr<NpyHeader> header =
      ParseNpyHeader(rest.substr(0, static_cast<size_t>(preamble->header_bytes)), kNpyTypes);
  if (!header.ok()) return;
  const absl::StatusOr<std::string> written = FormatNpyHeader(*header);
  if (!written.ok()) return;
  const NpyPreamble again = ParseNpyPreamble(*written).value();
  const absl::StatusOr<NpyHeader> read =
      ParseNpyHeader(written->substr(static_cast<size_t>(again.preamble_bytes)), kNpyTypes);
  Require(read.ok() && read->type == header->type && read->shape == header->shape,
          "a header that is written again is read as the same");
}

std::string Numbers(NpyType type, const Shape& shape, size_t bytes) {
  std::string elements;
  for (size_t i = 0; i < bytes; ++i) elements.push_back(static_cast<char>(i * 37));
  return FormatNpyHeader({.type = type, .shape = shape}).value() + elements;
}

}  // namespace

void FuzzNpy(absl::string_view input) {
  static const ScratchFile file("tensor.npy");
  CheckNpyHeader(input);
  file.Write(input);
  if (const absl::StatusOr<TensorFile> tensor = OpenNpy(file.path()); tensor.ok()) {
    CheckTensorFile(*tensor, input);
  }
  if (const auto numbers = ReadNpyInt64(file.path()); numbers.ok()) {
    Require(numbers->size() * sizeof(int32_t) <= input.size(), "numbers are no more than the file");
  }
}

FuzzSeeds NpySeeds() {
  std::string fortran = Numbers(NpyType::kFloat32, {2, 3, 4}, 96);
  fortran.replace(fortran.find("False"), 5, "True ");
  std::string big_endian = Numbers(NpyType::kFloat16, {3, 5}, 30);
  big_endian[big_endian.find('<')] = '>';
  return {{"matrix", Numbers(NpyType::kFloat32, {3, 4}, 48)},
          {"fortran", fortran},
          {"big-endian", big_endian},
          {"mask", Numbers(NpyType::kBool, {7}, 7)},
          {"lengths", Numbers(NpyType::kInt64, {2}, 16)},
          {"length", Numbers(NpyType::kInt32, {}, 4)},
          {"empty", Numbers(NpyType::kFloat32, {0, 5}, 0)}};
}

}  // namespace qkserve
