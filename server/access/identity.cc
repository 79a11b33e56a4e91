#include "server/access/identity.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/visible_ascii.h"
#include "grpc/grpc_security_constants.h"

namespace qkserve {
namespace {

std::string Encoded(absl::string_view name) {
  std::string out;
  for (const char c : name) {
    // IsIdentity forbids # only at the beginning. The reserved names are compared below.
    const bool is_plain = absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '%' &&
                          !(c == '#' && out.empty());
    if (is_plain) {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  if (out == kAnyone || out == kOtherTenants) {
    out = absl::StrFormat("%%%02X%s", out[0], out.substr(1));
  }
  return IsIdentity(out) ? out : "";
}

}  // namespace

bool IsIdentity(absl::string_view name) {
  return !name.empty() && name.size() <= kIdentityBytesMax && name != kAnyone &&
         name != kOtherTenants && name[0] != '#' && IsVisibleAscii(name);
}

std::string IdentityRule() {
  return absl::StrCat("1 to ", kIdentityBytesMax, " visible ASCII characters, not '", kAnyone,
                      "' or '", kOtherTenants, "', and without '#' at the beginning");
}

std::string IdentityOfCertificate(const grpc::AuthContext& peer) {
  if (!peer.IsPeerAuthenticated()) return "";
  for (const char* const property :
       {GRPC_PEER_URI_PROPERTY_NAME, GRPC_PEER_DNS_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
    const std::vector<grpc::string_ref> names = peer.FindPropertyValues(property);
    if (names.empty()) continue;
    if (property == absl::string_view(GRPC_PEER_URI_PROPERTY_NAME) && names.size() > 1) return "";
    return Encoded({names[0].data(), names[0].size()});
  }
  return "";
}

}  // namespace qkserve
