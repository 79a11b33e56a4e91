#ifndef QKSERVE_TESTS_SUPPORT_READ_NPY_H_
#define QKSERVE_TESTS_SUPPORT_READ_NPY_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "formats/npy.h"
#include "formats/tensor_file.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Reads a whole .npy file. Returns the errors of OpenNpy, too.
inline absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  ASSIGN_OR_RETURN(const TensorFile file, OpenNpy(path));
  return ReadTensor(file);
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_READ_NPY_H_
