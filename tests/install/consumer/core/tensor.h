#ifndef CORE_TENSOR_H_
#define CORE_TENSOR_H_

// Headers of an application. The library's own sources have headers with the same paths. The
// library must neither find nor hide the application's headers.
struct ApplicationTensor {
  float elements[4] = {3, 4, 5, 6};
};

#endif  // CORE_TENSOR_H_
