#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "core/key_sets/key_set_name.h"
#include "formats/safetensors.h"
#include "server/observe/trace_context.h"
#include "server/rpc/grpc_status.h"
#include "tests/fuzz/fuzz_target.h"

namespace qkserve {
namespace {

void CheckUtf8(absl::string_view text) {
  const std::string valid = ValidUtf8(text);
  Require(IsUtf8(valid), "replacing what is no UTF-8 makes UTF-8");
  Require((valid == text) == IsUtf8(text), "UTF-8 stays as it is");
  for (const size_t bytes_max : {size_t{0}, size_t{1}, size_t{5}, text.size()}) {
    const absl::string_view prefix = Utf8Prefix(text, bytes_max);
    Require(prefix.size() <= bytes_max && absl::StartsWith(text, prefix), "a prefix is a prefix");
    Require(!IsUtf8(text) || IsUtf8(prefix), "a prefix of UTF-8 ends between characters");
  }
}

// Checks that a text for clients is short enough even after percent-encoding.
void CheckClientText(absl::string_view text) {
  const std::string shown = ClientText(text);
  Require(IsUtf8(shown), "a client's text is UTF-8");
  size_t encoded = 0;
  for (const char c : shown) encoded += c < ' ' || c > '~' || c == '%' ? 3 : 1;
  Require(encoded <= kClientTextBytesMax, "a client's text has a bound");
  const std::string name = ShownName(text);
  for (const char c : name) Require(absl::ascii_isprint(c), "a name that is shown is printable");
}

void CheckNames(absl::string_view text) {
  if (ValidateKeySetName(text).ok()) {
    Require(!text.empty() && text.size() <= 128 && text.front() != '.' &&
                !absl::StrContains(text, '/') && !absl::StrContains(text, '\0'),
            "a key set's name is the name of a folder");
  }
  if (IsRequestId(text)) Require(text.size() <= 128, "a request's name is short");
  if (IsTraceparent(text)) {
    Require(TraceId(text).size() == 32, "a trace's name has 32 digits");
    for (const char c : TraceId(text)) {
      Require(absl::ascii_isxdigit(static_cast<unsigned char>(c)) != 0, "and no other character");
    }
  }
}

}  // namespace

void FuzzText(absl::string_view input) {
  CheckUtf8(input);
  CheckClientText(input);
  CheckNames(input);
}

FuzzSeeds TextSeeds() {
  return {{"name", "items-2.v1_a"},
          {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
          {"request", "7f9c24e8-3b12-4fef-91e0-56a2d5a7f8b4"},
          {"utf8", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 %41\n"},
          {"no-utf8", "\xed\xa0\x80\xff\xc3("},
          {"long", absl::StrCat(std::string(4090, 'a'), "\xe2\x82\xac\xe2\x82\xac")}};
}

}  // namespace qkserve
