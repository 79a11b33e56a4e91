#include "server/rpc/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpc/compression.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/slice.h"

namespace qkserve {
namespace {

// The sizes of the first and the largest piece of memory for a message. Each piece is twice as
// large as the one before, up to the largest.
constexpr int64_t kPieceBytesMin = 16 * kKiB;
constexpr int64_t kPieceBytesMax = kMiB;

// Reads a message's slices. It derives from gRPC's reader, because the API tells in no other way
// how a message is compressed.
class CompressedReader : public grpc::ProtoBufferReader {
 public:
  using grpc::ProtoBufferReader::ProtoBufferReader;

  grpc_compression_algorithm algorithm() {
    return status().ok() ? reader()->buffer_in->data.raw.compression : GRPC_COMPRESS_NONE;
  }
};

// A zlib stream. It accepts the headers of both formats, gzip and deflate.
class Inflater {
 public:
  Inflater() {
    constexpr int kWindowBits = 15;
    constexpr int kEitherFormat = 32;
    // zlib gets C++'s allocator, because a test can make that allocator fail.
    stream_.zalloc = [](void* /*opaque*/, uInt items, uInt size) -> void* {
      return ::operator new (size_t{items} * size, std::nothrow);
    };
    stream_.zfree = [](void* /*opaque*/, void* memory) { ::operator delete(memory); };
    is_good_ = IsGood(inflateInit2(&stream_, kWindowBits | kEitherFormat));
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // Fills `out` with the next decompressed bytes of `in`. Returns how many bytes it wrote. They are
  // fewer than `out_bytes` only if the message ends or its next bytes are bad. Throws
  // std::bad_alloc.
  size_t Read(CompressedReader& in, uint8_t* out, size_t out_bytes) {
    stream_.next_out = out;
    stream_.avail_out = static_cast<uInt>(out_bytes);
    while (is_good_ && !is_ended_ && stream_.avail_out > 0) {
      TakeInput(in);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      is_ended_ = result == Z_STREAM_END;
      is_good_ = is_ended_ || IsGood(result);  // Z_BUF_ERROR: no more input
    }
    return out_bytes - stream_.avail_out;
  }

  // True if the whole message was read, and nothing follows it.
  bool IsAtEnd(CompressedReader& in) {
    TakeInput(in);
    return is_ended_ && stream_.avail_in == 0;
  }

 private:
  static bool IsGood(int result) {
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    return result == Z_OK;
  }

  // Takes the next slice that is not empty, if the last slice is used up and another one follows.
  void TakeInput(CompressedReader& in) {
    const void* data = nullptr;
    int bytes = 0;
    while (stream_.avail_in == 0 && in.Next(&data, &bytes)) {
      // zlib does not write to its input.
      stream_.next_in = static_cast<Bytef*>(const_cast<void*>(data));
      stream_.avail_in = static_cast<uInt>(bytes);
    }
  }

  z_stream stream_ = {};
  bool is_good_ = false;
  bool is_ended_ = false;
};

absl::StatusOr<ByteBudget::Charge> TakeCharge(const InflateLimits& limits, int64_t bytes) {
  if (limits.budget == nullptr) return ByteBudget::Charge();
  if (limits.charges_anyway) return limits.budget->ChargeAnyway(bytes);
  return limits.budget->TryCharge(bytes);
}

grpc::Slice NewPiece(size_t bytes) {
  return grpc::Slice(new uint8_t[bytes], bytes,
                     [](void* memory) { delete[] static_cast<uint8_t*>(memory); });
}

absl::StatusOr<std::vector<grpc::Slice>> Inflate(const InflateLimits& limits, CompressedReader& in,
                                                 std::vector<ByteBudget::Charge>* charges) {
  Inflater inflater;
  std::vector<grpc::Slice> pieces;
  int64_t left = limits.bytes_max;
  for (int64_t bytes = kPieceBytesMin;; bytes = std::min(2 * bytes, kPieceBytesMax)) {
    // The last piece has room for one byte beyond the limit. If that byte comes, the message is too
    // large.
    bytes = std::min(bytes, left + 1);
    ASSIGN_OR_RETURN(ByteBudget::Charge charge, TakeCharge(limits, bytes));
    charges->push_back(std::move(charge));
    const auto size = static_cast<size_t>(bytes);
    const grpc::Slice piece = NewPiece(size);
    const size_t read = inflater.Read(in, const_cast<uint8_t*>(piece.begin()), size);
    pieces.push_back(piece.sub(0, read));
    left -= static_cast<int64_t>(read);
    if (left < 0) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the message, once decompressed, is larger than ", limits.bytes_max, " bytes",
          limits.bytes_max == kInflatedBytesMax ? "; send it without compression" : ""));
    }
    if (read == size) continue;
    if (inflater.IsAtEnd(in)) return pieces;
    return absl::UnimplementedError("the bytes are no compressed message");
  }
}

}  // namespace

absl::Status InflateIfCompressed(const InflateLimits& limits, grpc::ByteBuffer* message,
                                 std::vector<ByteBudget::Charge>* charges) {
  absl::StatusOr<std::vector<grpc::Slice>> pieces;
  {
    CompressedReader in(message);
    if (in.algorithm() == GRPC_COMPRESS_NONE || message->Length() == 0) return absl::OkStatus();
    pieces = Inflate(limits, in, charges);
  }
  message->Clear();
  if (!pieces.ok()) return pieces.status();
  *message = grpc::ByteBuffer(pieces->data(), pieces->size());
  return absl::OkStatus();
}

}  // namespace qkserve
