#ifndef QKSERVE_TESTS_SUPPORT_WIRE_BYTES_H_
#define QKSERVE_TESTS_SUPPORT_WIRE_BYTES_H_

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"
#include "grpc/byte_buffer.h"
#include "grpc/compression.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"

namespace qkserve {

// A message in the form in which gRPC gives it, in slices of at most `slice` bytes.
inline grpc::ByteBuffer WireBytes(absl::string_view bytes, size_t slice = 8192) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += slice) {
    slices.emplace_back(bytes.data() + at, std::min(slice, bytes.size() - at));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// The same, but marked as compressed. gRPC's C++ API cannot make such messages.
inline grpc::ByteBuffer CompressedWireBytes(absl::string_view bytes, size_t slice = 8192) {
  std::vector<grpc_slice> slices;
  for (size_t at = 0; at < bytes.size(); at += slice) {
    slices.push_back(
        grpc_slice_from_copied_buffer(bytes.data() + at, std::min(slice, bytes.size() - at)));
  }
  grpc_byte_buffer* const raw =
      grpc_raw_compressed_byte_buffer_create(slices.data(), slices.size(), GRPC_COMPRESS_GZIP);
  for (const grpc_slice& part : slices) grpc_slice_unref(part);
  grpc::ByteBuffer buffer;
  static_assert(sizeof(buffer) == sizeof(raw));
  std::memcpy(static_cast<void*>(&buffer), &raw, sizeof(raw));
  return buffer;
}

// The window bits that tell zlib the format.
inline constexpr int kGzip = 15 + 16;
inline constexpr int kDeflate = 15;

inline std::string Deflated(absl::string_view bytes, int window_bits) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  // zlib does not write to its input.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// True if the message, or a message within it, has unknown fields.
inline bool HasUnknownFields(const google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  return std::any_of(fields.begin(), fields.end(), [&](const FieldDescriptor* field) {
    return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
           HasUnknownFields(reflection.GetMessage(message, field));
  });
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_WIRE_BYTES_H_
