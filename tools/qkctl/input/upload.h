#ifndef QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "formats/tensor_file.h"
#include "qkserve/key_set.h"
#include "tools/qkctl/command.h"
#include "tools/qkctl/output/progress.h"

namespace qkserve {

// Returns the tensor of a file, which the client uploads piece by piece. The source keeps the file
// open.
inline TensorSource SourceOf(const TensorFile& tensor) {
  return TensorSource(tensor.data_type, tensor.shape, ReaderOf(tensor));
}

struct KeySetContents {
  TensorSource keys;
  std::optional<TensorSource> values;
};

// Returns the timeout of an upload. `timeout` is meant for small requests, so a second is added for
// each MiB. This is enough for a link of 8 Mbit/s.
absl::Duration UploadTimeout(absl::Duration timeout, const KeySetContents& contents);

// Returns the size of the largest chunk that fits into a message with everything around it. The
// size is a multiple of every element's size.
int64_t UploadChunkBytes(int64_t message_bytes_max);

// Returns the options that PutKeySetOptions and AppendKeySetOptions share. `line` shows the
// progress and must outlive the call.
template <typename CallOptions>
CallOptions UploadOptions(const KeySetContents& contents, const ConnectionOptions& connection,
                          UploadProgressLine* line) {
  CallOptions call;
  call.values = contents.values;
  call.timeout = UploadTimeout(connection.timeout, contents);
  call.progress = [line](int64_t sent, int64_t total) { line->Show(sent, total); };
  call.chunk_bytes = UploadChunkBytes(connection.client.message_bytes_max);
  return call;
}

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_H_
