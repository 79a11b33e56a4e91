#ifndef QKSERVE_SERVER_ACCESS_TOKEN_FILE_H_
#define QKSERVE_SERVER_ACCESS_TOKEN_FILE_H_

#include <array>
#include <cstddef>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Bearer tokens, and the file in which an operator keeps their hashes (--token_file):
//
//   # who        the hash of its token
//   ranking      sha256:6f1b...   (64 hexadecimal digits)
//
// A token is 256 random bits. Nobody can guess it, and its SHA-256 tells nothing about it.
// Passwords need a slow hash, which makes guessing expensive. For tokens, a slow hash would only
// make calls expensive.

// The tokens of a file. Thread-safe.
class TokenTable {
 public:
  // Returns the identity of the token, or null if no line of the file has its hash, or if OpenSSL
  // cannot compute the hash. Takes about 0.3 us for a token of 43 characters. Hashes are compared
  // in constant time.
  const std::string* Find(absl::string_view token) const;

  size_t size() const { return identities_.size(); }

 private:
  friend absl::StatusOr<TokenTable> ParseTokenFile(absl::string_view text);
  friend absl::StatusOr<std::string> TokenFileLine(absl::string_view identity,
                                                   absl::string_view token);

  using Hash = std::array<unsigned char, 32>;  // SHA-256
  // Returns the hash of a token. INTERNAL: OpenSSL has no SHA-256, for example because of its
  // configuration.
  static absl::StatusOr<Hash> HashOf(absl::string_view token);

  struct FirstBytes {
    size_t operator()(const Hash& hash) const;
  };
  struct EqualInConstantTime {
    bool operator()(const Hash& a, const Hash& b) const;
  };
  std::unordered_map<Hash, std::string, FirstBytes, EqualInConstantTime> identities_;
};

// Reads the text of a token file. Each line is an identity, a space, and "sha256:" with 64
// hexadecimal digits. An identity may have several tokens, so that a new token can be handed out
// before the old one is removed. Empty lines are ignored. A word that begins with '#' begins a
// comment, which ends with the line. The file may be empty. Then no token is valid.
//
// INVALID_ARGUMENT names the line and what was expected. It never shows the text in the place of
// the hash, because somebody may have put a token there by mistake. INTERNAL: OpenSSL has no
// SHA-256.
absl::StatusOr<TokenTable> ParseTokenFile(absl::string_view text);

// Makes a new token: 256 random bits as 43 characters of base64url. INTERNAL: the system gives no
// random bits.
absl::StatusOr<std::string> MakeToken();

// Returns the line of a token file for a token, without a line feed. INTERNAL: OpenSSL has no
// SHA-256.
absl::StatusOr<std::string> TokenFileLine(absl::string_view identity, absl::string_view token);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_TOKEN_FILE_H_
