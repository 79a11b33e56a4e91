#ifndef QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_SOURCE_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_SOURCE_H_

#include "formats/tensor_file.h"
#include "qkserve/key_set.h"

namespace qkserve {

// The tensor of a file, for the client to upload piece by piece. Keeps the file open.
inline TensorSource SourceOf(const TensorFile& tensor) {
  return TensorSource(tensor.data_type, tensor.shape, ReaderOf(tensor));
}

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_TENSOR_SOURCE_H_
