#include "base/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstddef>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "base/whole_file.h"

namespace qkserve {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free>;

Bio Open(const PemFile& file) {
  return Bio(BIO_new_mem_buf(file.text.data(), static_cast<int>(file.text.size())));
}

// Refuses a key with a pass phrase, as gRPC does. `asked` points to a bool that the function sets
// to true.
int RefusePassPhrase(char* /*out*/, int /*size*/, int /*is_write*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Returns all certificates of the file, at least one. In a chain, the first certificate is the
// owner's.
absl::StatusOr<std::vector<Certificate>> ReadCertificates(const PemFile& file) {
  const Bio bio = Open(file);
  bool asked = false;
  std::vector<Certificate> certificates;
  while (Certificate next{PEM_read_bio_X509_AUX(bio.get(), nullptr, RefusePassPhrase, &asked)}) {
    certificates.push_back(std::move(next));
  }
  // The loop always ends with an error. PEM_R_NO_START_LINE is the expected error if no further
  // certificate begins.
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return FormatError(file.name, "certificate ", certificates.size() + 1, " is damaged");
  }
  if (certificates.empty()) return FormatError(file.name, "has no certificate in PEM format");
  return certificates;
}

absl::StatusOr<PrivateKey> ReadPrivateKey(const PemFile& file) {
  const Bio bio = Open(file);
  bool asked = false;
  PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassPhrase, &asked));
  ERR_clear_error();
  if (asked) return FormatError(file.name, "is encrypted; expected a key without a pass phrase");
  if (key == nullptr) {
    return FormatError(file.name, "has no private key in PEM format, or a damaged one");
  }
  return key;
}

// Returns InfinitePast if OpenSSL cannot read the time.
absl::Time ToTime(const ASN1_TIME* time) {
  std::tm utc = {};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return absl::InfinitePast();
  return absl::FromTM(utc, absl::UTCTimeZone());
}

CertificateTimes TimesOf(const X509* certificate) {
  return {.begin = ToTime(X509_get0_notBefore(certificate)),
          .end = ToTime(X509_get0_notAfter(certificate))};
}

// Returns OpenSSL's text for the first of its errors, and clears all of them.
std::string FirstError() {
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(error);
  return reason == nullptr ? "refused" : reason;
}

}  // namespace

absl::StatusOr<PemFile> ReadPemFile(absl::string_view what, const std::string& path) {
  // Any bundle of certificates is smaller. The limit bounds the cost of reading a wrong file.
  constexpr size_t kPemBytesMax = 16 << 20;
  absl::StatusOr<std::string> text = ReadFileWhole(path, kPemBytesMax);
  if (text.ok()) return PemFile{absl::StrCat(what, path), *std::move(text)};
  return absl::Status(text.status().code(), absl::StrCat(what, text.status().message()));
}

absl::StatusOr<CertificateTimes> CheckCertificates(const PemFile& file) {
  ASSIGN_OR_RETURN(const std::vector<Certificate> certificates, ReadCertificates(file));
  return TimesOf(certificates.front().get());
}

absl::StatusOr<CertificateTimes> CheckIdentity(const PemFile& chain, const PemFile& key) {
  ASSIGN_OR_RETURN(const std::vector<Certificate> certificates, ReadCertificates(chain));
  ASSIGN_OR_RETURN(const PrivateKey private_key, ReadPrivateKey(key));
  X509* const own = certificates.front().get();
  const bool fits = X509_check_private_key(own, private_key.get()) == 1;
  ERR_clear_error();
  if (!fits) return FormatError(key.name, "is not the key of ", chain.name);
  // Like gRPC's context, this context refuses certificates and keys that are too weak for the
  // security level.
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("OpenSSL makes no context");
  bool is_taken = SSL_CTX_use_certificate(context.get(), own) == 1;
  for (size_t i = 1; is_taken && i < certificates.size(); ++i) {
    is_taken = SSL_CTX_add1_chain_cert(context.get(), certificates[i].get()) == 1;
  }
  if (!is_taken) return FormatError(chain.name, "OpenSSL does not take it: ", FirstError());
  if (SSL_CTX_use_PrivateKey(context.get(), private_key.get()) != 1) {
    return FormatError(key.name, "OpenSSL does not take it: ", FirstError());
  }
  return TimesOf(own);
}

}  // namespace qkserve
