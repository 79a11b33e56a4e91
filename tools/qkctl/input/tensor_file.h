#ifndef QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_FILE_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "qkserve/key_set.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/input/input_file.h"
#include "tools/qkctl/input/reordered_reader.h"

namespace qkserve {

// A tensor in a file whose elements have not been read.
struct TensorFile {
  std::shared_ptr<const InputFile> file;
  TensorSpec spec;
  int64_t offset = 0;  // of the elements, which are all there
  ElementOrder order = {};
};

// Opens FILE.npy, FILE.safetensors or FILE.safetensors:TENSOR; the name says which it is. Of a
// .safetensors file without :TENSOR the only tensor is taken, or else the one named `name`.
// Errors: those of ReadNpy and OpenSafetensors.
absl::StatusOr<TensorFile> OpenTensorFile(const std::string& path, absl::string_view name);

// All its elements, in C order. RESOURCE_EXHAUSTED: out of memory; or the errors of
// InputFile::ReadAt.
absl::StatusOr<Tensor> ReadTensor(const TensorFile& tensor);

// The same piece by piece, for files larger than memory. Keeps the file open.
TensorSource SourceOf(const TensorFile& tensor);

// Writes FILE.safetensors, with one tensor named `name`, or FILE.npy, which may be of any name.
absl::Status WriteTensorFile(const std::string& path, absl::string_view name,
                             const TensorView& tensor);

// Whether the name says so. FILE.safetensors:TENSOR does, too.
bool IsSafetensorsPath(absl::string_view path);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_FILE_H_
