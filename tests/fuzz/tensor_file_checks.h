#ifndef QKSERVE_TESTS_FUZZ_TENSOR_FILE_CHECKS_H_
#define QKSERVE_TESTS_FUZZ_TENSOR_FILE_CHECKS_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "formats/tensor_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace qkserve {

// Reads a tensor of a file with these contents, first whole and then in two pieces.
inline void CheckTensorFile(const TensorFile& tensor, absl::string_view contents) {
  const int64_t bytes = ByteCount(tensor.shape, ElementBytes(tensor.data_type)).value_or(-1);
  Require(bytes >= 0 && tensor.offset >= 0 &&
              tensor.offset + bytes <= static_cast<int64_t>(contents.size()),
          "a tensor that is opened has all its elements in the file");
  const absl::StatusOr<Tensor> whole = ReadTensor(tensor);
  Require(whole.ok(), "a tensor that is opened can be read");
  const absl::string_view read(reinterpret_cast<const char*>(whole->data.data()),
                               static_cast<size_t>(bytes));
  if (tensor.order.IsPlain()) {
    Require(read == contents.substr(static_cast<size_t>(tensor.offset), read.size()),
            "elements are those of the file");
  }
  if (read.empty()) return;
  const ElementReader reader = ReaderOf(tensor);
  std::string pieces(read.size(), '\0');
  const size_t half = read.size() / 3;
  Require(reader(0, absl::MakeSpan(pieces).first(half)).ok() &&
              reader(static_cast<int64_t>(half), absl::MakeSpan(pieces).subspan(half)).ok(),
          "a tensor can be read in pieces");
  Require(pieces == read, "pieces are those of the whole");
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_TENSOR_FILE_CHECKS_H_
