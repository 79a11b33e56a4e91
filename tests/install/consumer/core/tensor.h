#ifndef CORE_TENSOR_H_
#define CORE_TENSOR_H_

// Headers of an application whose paths the library's own sources have, too. The library must not
// find them, nor hide them.
struct ApplicationTensor {
  float elements[4] = {3, 4, 5, 6};
};

#endif  // CORE_TENSOR_H_
