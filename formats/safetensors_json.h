#ifndef QKSERVE_FORMATS_SAFETENSORS_JSON_H_
#define QKSERVE_FORMATS_SAFETENSORS_JSON_H_

#include <istream>

#include "absl/status/statusor.h"
#include "formats/safetensors.h"

namespace qkserve {

// The tensors that the JSON text of a header describes, in its order; each by itself is checked,
// how they lie in the file is not. Reads the text to its end, where it is right, and keeps nothing
// of it but what it returns.
//
// INVALID_ARGUMENT: not such a text. As in the format's reference implementation: no other element
// types than the format's, no field of a tensor twice, nothing but text in `__metadata__`. Beyond
// it, as the format demands: no tensor, and no field of `__metadata__`, twice.
absl::StatusOr<SafetensorsEntries> ParseSafetensorsJson(std::istream& text);

// The format's name of a type, F32 for example.
const char* SafetensorsDtype(DataType type);

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_SAFETENSORS_JSON_H_
