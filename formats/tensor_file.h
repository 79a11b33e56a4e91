#ifndef QKSERVE_FORMATS_TENSOR_FILE_H_
#define QKSERVE_FORMATS_TENSOR_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "formats/input_file.h"
#include "formats/reordered_reader.h"
#include "qkserve/tensor.h"

namespace qkserve {

// A tensor in a file. Its elements have not been read.
struct TensorFile {
  std::shared_ptr<const InputFile> file;
  DataType data_type = DataType::kFloat32;
  Shape shape;
  int64_t offset = 0;  // where the elements begin; the file has all of them
  ElementOrder order = {};
};

// Opens FILE.npy, FILE.safetensors or FILE.safetensors:TENSOR. Without :TENSOR, takes the tensor
// `name` of a .safetensors file. If there is no such tensor, takes the file's only tensor. The file
// may come from anybody.
//
// Errors name the file. They are those of OpenNpy (OpenNpyMask for `name` "mask"), and for
// .safetensors
//   NOT_FOUND            there is no such file, or no such tensor in it; the message lists them
//   INVALID_ARGUMENT     it is no regular file, or not whole and well-formed, or the tensor's type
//                        is not float32, float16 or bfloat16
//   others               those of InputFile
absl::StatusOr<TensorFile> OpenTensorFile(const std::string& path, absl::string_view name);

// Reads all elements, in C order. RESOURCE_EXHAUSTED: out of memory. Other errors are those of
// InputFile::ReadAt.
absl::StatusOr<Tensor> ReadTensor(const TensorFile& tensor);

// Fills `out` with the bytes of the C-order tensor that begin at `offset`.
using ElementReader = std::function<absl::Status(int64_t offset, absl::Span<char> out)>;

// Returns a reader of the elements, for tensors larger than memory. The reader keeps the file open.
// A copy of the reader has its own memory. Errors are those of InputFile::ReadAt.
ElementReader ReaderOf(const TensorFile& tensor);

// True for FILE.safetensors and FILE.safetensors:TENSOR.
bool IsSafetensorsPath(absl::string_view path);

// Returns the path of the file, `path` without :TENSOR.
std::string FileOfTensorPath(const std::string& path);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_TENSOR_FILE_H_
