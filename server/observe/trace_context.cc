#include "server/observe/trace_context.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/visible_ascii.h"

namespace qkserve {
namespace {

constexpr char kTraceparent[] = "traceparent";
constexpr char kRequestId[] = "x-request-id";

// The place and size of the trace's id in a traceparent.
constexpr size_t kTraceIdAt = 3;
constexpr size_t kTraceIdSize = 32;

bool IsHex(absl::string_view text, size_t size) {
  return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool IsZero(absl::string_view text) {
  return text.find_first_not_of('0') == absl::string_view::npos;
}

// Returns the value of this metadata, or "" if there is none, more than one, or an invalid one.
absl::string_view ValueOf(const grpc::ServerContextBase& context, const char* key,
                          bool (*is_valid)(absl::string_view)) {
  const auto [begin, end] = context.client_metadata().equal_range(key);
  if (begin == end || std::next(begin) != end) return {};
  const absl::string_view value(begin->second.data(), begin->second.size());
  return is_valid(value) ? value : absl::string_view();
}

}  // namespace

bool IsTraceparent(absl::string_view value) {
  // The longest value that is accepted and echoed. A value of today's version is shorter.
  constexpr size_t kSizeMax = 256;
  if (value.size() > kSizeMax || !IsVisibleAscii(value)) return false;
  // The parts are version, trace, parent and flags. Later versions may have more parts after
  // another dash.
  const std::vector<absl::string_view> parts = absl::StrSplit(value, absl::MaxSplits('-', 4));
  if (parts.size() < 4 || parts[0] == "ff" || (parts[0] == "00" && parts.size() > 4)) return false;
  return IsHex(parts[0], 2) && IsHex(parts[1], kTraceIdSize) && !IsZero(parts[1]) &&
         IsHex(parts[2], 16) && !IsZero(parts[2]) && IsHex(parts[3], 2);
}

bool IsRequestId(absl::string_view value) {
  constexpr size_t kRequestIdSizeMax = 128;
  return !value.empty() && value.size() <= kRequestIdSizeMax && IsVisibleAscii(value);
}

absl::string_view TraceId(absl::string_view traceparent) {
  return traceparent.substr(kTraceIdAt, kTraceIdSize);
}

RequestTags RequestTags::Of(const grpc::ServerContextBase& context) {
  return {.traceparent = std::string(ValueOf(context, kTraceparent, IsTraceparent)),
          .request_id = std::string(ValueOf(context, kRequestId, IsRequestId))};
}

void RequestTags::AddTo(LogEvent& event) const {
  if (!request_id.empty()) event.fields.emplace_back("request_id", request_id);
  if (traceparent.empty()) return;
  event.fields.emplace_back("traceparent", traceparent);
  event.fields.emplace_back("trace_id", std::string(TraceId(traceparent)));
}

void EchoRequestTags(grpc::ServerContextBase& context) {
  const auto echo = [&context](const char* key, bool (*is_valid)(absl::string_view)) {
    const absl::string_view value = ValueOf(context, key, is_valid);
    if (!value.empty()) context.AddInitialMetadata(key, std::string(value));
  };
  echo(kTraceparent, IsTraceparent);
  echo(kRequestId, IsRequestId);
}

}  // namespace qkserve
