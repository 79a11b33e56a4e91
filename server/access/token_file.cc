#include "server/access/token_file.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "server/access/file_lines.h"
#include "server/access/identity.h"

namespace qkserve {
namespace {

constexpr absl::string_view kHashPrefix = "sha256:";
constexpr size_t kTokenBytes = 32;

absl::string_view Text(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

}  // namespace

absl::StatusOr<TokenTable::Hash> TokenTable::HashOf(absl::string_view token) {
  // The algorithm is fetched once, because OpenSSL 3 takes about 1 us to look it up.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Hash hash = {};
  if (sha256 == nullptr ||
      EVP_Digest(token.data(), token.size(), hash.data(), nullptr, sha256, nullptr) != 1) {
    return absl::InternalError("OpenSSL does not compute SHA-256");
  }
  return hash;
}

size_t TokenTable::FirstBytes::operator()(const Hash& hash) const {
  // The first bytes suffice, because the bits of a hash are as good as random.
  size_t first = 0;
  std::memcpy(&first, hash.data(), sizeof(first));
  return first;
}

bool TokenTable::EqualInConstantTime::operator()(const Hash& a, const Hash& b) const {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

const std::string* TokenTable::Find(absl::string_view token) const {
  const absl::StatusOr<Hash> hash = HashOf(token);
  if (!hash.ok()) return nullptr;
  const auto entry = identities_.find(*hash);
  return entry == identities_.end() ? nullptr : &entry->second;
}

absl::StatusOr<TokenTable> ParseTokenFile(absl::string_view text) {
  // This check tells the operator if OpenSSL has no SHA-256. Otherwise only the callers would
  // notice, because no token would be found.
  RETURN_IF_ERROR(TokenTable::HashOf("").status());
  TokenTable table;
  FileLines lines(text);
  while (lines.Next()) {
    const std::vector<absl::string_view>& words = lines.words();
    RETURN_IF_ERROR(lines.CheckIdentity(words[0]));
    absl::string_view digits = words.size() == 2 ? words[1] : "";
    TokenTable::Hash hash = {};
    if (!absl::ConsumePrefix(&digits, kHashPrefix) || digits.size() != 2 * hash.size() ||
        !IsHex(digits)) {
      return lines.Error("expected an identity and sha256: with 64 hexadecimal digits");
    }
    size_t size = 0;
    if (OPENSSL_hexstr2buf_ex(hash.data(), hash.size(), &size, std::string(digits).c_str(), '\0') !=
        1) {
      return absl::InternalError("OpenSSL does not read hexadecimal digits");
    }
    const auto [entry, is_new] = table.identities_.emplace(hash, std::string(words[0]));
    if (!is_new && entry->second != words[0]) {
      return lines.Error(absl::StrCat("the token belongs to '", entry->second, "' already"));
    }
  }
  return table;
}

absl::StatusOr<std::string> MakeToken() {
  unsigned char bytes[kTokenBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
    return absl::InternalError("the system gives no random bits");
  }
  std::string token = absl::WebSafeBase64Escape(Text(bytes, sizeof(bytes)));
  OPENSSL_cleanse(bytes, sizeof(bytes));
  return token;
}

absl::StatusOr<std::string> TokenFileLine(absl::string_view identity, absl::string_view token) {
  ASSIGN_OR_RETURN(const TokenTable::Hash hash, TokenTable::HashOf(token));
  return absl::StrCat(identity, " ", kHashPrefix,
                      absl::BytesToHexString(Text(hash.data(), hash.size())));
}

}  // namespace qkserve
