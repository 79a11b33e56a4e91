#include "server/observe/trace_context.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace qkserve {
namespace {

constexpr char kTraceparent[] = "traceparent";
constexpr char kRequestId[] = "x-request-id";

// Offsets and lengths of the parts of a traceparent.
constexpr size_t kTraceIdAt = 3;
constexpr size_t kTraceIdSize = 32;
constexpr size_t kParentIdAt = kTraceIdAt + kTraceIdSize + 1;
constexpr size_t kParentIdSize = 16;
constexpr size_t kFlagsAt = kParentIdAt + kParentIdSize + 1;
constexpr size_t kSize = kFlagsAt + 2;
// No version is longer for now; what comes is echoed.
constexpr size_t kSizeMax = 256;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

bool IsVisible(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isgraph);
}

bool IsZero(absl::string_view text) {
  return text.find_first_not_of('0') == absl::string_view::npos;
}

// The only value of this metadata, or "".
absl::string_view OnlyValue(const grpc::ServerContextBase& context, const char* key) {
  const auto [begin, end] = context.client_metadata().equal_range(key);
  if (begin == end || std::next(begin) != end) return {};
  return {begin->second.data(), begin->second.size()};
}

absl::string_view TraceparentOf(const grpc::ServerContextBase& context) {
  const absl::string_view value = OnlyValue(context, kTraceparent);
  return IsTraceparent(value) ? value : absl::string_view();
}

absl::string_view RequestIdOf(const grpc::ServerContextBase& context) {
  const absl::string_view value = OnlyValue(context, kRequestId);
  return IsRequestId(value) ? value : absl::string_view();
}

}  // namespace

bool IsTraceparent(absl::string_view value) {
  if (value.size() < kSize || value.size() > kSizeMax) return false;
  const absl::string_view version = value.substr(0, 2);
  if (!IsHex(version) || version == "ff") return false;
  if (version == "00" && value.size() != kSize) return false;
  // Later versions may say more, behind a further dash.
  if (value.size() > kSize && value[kSize] != '-') return false;
  if (value[kTraceIdAt - 1] != '-' || value[kParentIdAt - 1] != '-' || value[kFlagsAt - 1] != '-') {
    return false;
  }
  const absl::string_view parent_id = value.substr(kParentIdAt, kParentIdSize);
  return IsHex(TraceId(value)) && !IsZero(TraceId(value)) && IsHex(parent_id) &&
         !IsZero(parent_id) && IsHex(value.substr(kFlagsAt, 2)) && IsVisible(value);
}

bool IsRequestId(absl::string_view value) {
  constexpr size_t kRequestIdSizeMax = 128;
  return !value.empty() && value.size() <= kRequestIdSizeMax && IsVisible(value);
}

absl::string_view TraceId(absl::string_view traceparent) {
  return traceparent.substr(kTraceIdAt, kTraceIdSize);
}

RequestTags RequestTags::Of(const grpc::ServerContextBase& context) {
  return {.traceparent = std::string(TraceparentOf(context)),
          .request_id = std::string(RequestIdOf(context))};
}

void RequestTags::AddTo(LogEvent& event) const {
  if (!request_id.empty()) event.fields.emplace_back("request_id", request_id);
  if (traceparent.empty()) return;
  event.fields.emplace_back("traceparent", traceparent);
  event.fields.emplace_back("trace_id", std::string(TraceId(traceparent)));
}

void EchoRequestTags(grpc::ServerContextBase& context) {
  const absl::string_view traceparent = TraceparentOf(context);
  if (!traceparent.empty()) context.AddInitialMetadata(kTraceparent, std::string(traceparent));
  const absl::string_view request_id = RequestIdOf(context);
  if (!request_id.empty()) context.AddInitialMetadata(kRequestId, std::string(request_id));
}

}  // namespace qkserve
