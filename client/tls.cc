#include "client/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/limits.h"

namespace qkserve {
namespace {

// More than any bundle of certificates: bounds what a wrong file costs.
constexpr size_t kPemBytesMax = 16 * kMiB;

struct Free {
  void operator()(std::FILE* file) const { std::fclose(file); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free>;

// A file that TlsOptions name.
struct PemFile {
  std::string name;  // field and path, for errors
  std::string text;

  Bio Open() const { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

  absl::Status Bad(absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", message));
  }
};

absl::StatusOr<PemFile> ReadPemFile(absl::string_view field, const std::string& path) {
  PemFile pem = {absl::StrCat(field, " ", path), ""};
  const std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat(pem.name, ": cannot open"));
  char bytes[4096];
  for (size_t count = 0; (count = std::fread(bytes, 1, sizeof(bytes), file.get())) > 0;) {
    pem.text.append(bytes, count);
    if (pem.text.size() > kPemBytesMax) return pem.Bad("too large for certificates or keys");
  }
  if (std::ferror(file.get()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(pem.name, ": cannot read"));
  }
  return pem;
}

// gRPC asks for no pass phrase, so nobody does. `asked` is a bool.
int RefusePassPhrase(char* /*out*/, int /*size*/, int /*is_write*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// The first certificate of the file, which is the client's own in a chain. All must be whole.
absl::StatusOr<Certificate> FirstCertificate(const PemFile& file) {
  const Bio bio = file.Open();
  bool asked = false;
  Certificate first;
  int count = 0;
  while (Certificate next{PEM_read_bio_X509_AUX(bio.get(), nullptr, RefusePassPhrase, &asked)}) {
    if (count++ == 0) first = std::move(next);
  }
  // Any other error than that no further one begins.
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return file.Bad(absl::StrCat("certificate ", count + 1, " is damaged"));
  }
  if (first == nullptr) return file.Bad("has no certificate in PEM format");
  return first;
}

absl::StatusOr<PrivateKey> ReadPrivateKey(const PemFile& file) {
  const Bio bio = file.Open();
  bool asked = false;
  PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassPhrase, &asked));
  ERR_clear_error();
  if (asked) return file.Bad("is encrypted; expected a key without a pass phrase");
  if (key == nullptr) return file.Bad("has no private key in PEM format, or a damaged one");
  return key;
}

// The client's own certificate and key.
absl::Status AddIdentity(const TlsOptions& options, grpc::SslCredentialsOptions* out) {
  absl::StatusOr<PemFile> chain = ReadPemFile("tls.cert_file", options.cert_file);
  if (!chain.ok()) return chain.status();
  const absl::StatusOr<Certificate> certificate = FirstCertificate(*chain);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<PemFile> key_file = ReadPemFile("tls.key_file", options.key_file);
  if (!key_file.ok()) return key_file.status();
  const absl::StatusOr<PrivateKey> key = ReadPrivateKey(*key_file);
  if (!key.ok()) return key.status();
  const bool fits = X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  if (!fits) return key_file->Bad(absl::StrCat("is not the key of ", chain->name));
  out->pem_cert_chain = std::move(chain->text);
  out->pem_private_key = std::move(key_file->text);
  return absl::OkStatus();
}

constexpr char kUntrusted[] =
    "the server's certificate is not from an authority that is trusted here, or has expired";
constexpr char kNoHttp2[] = "the server does not offer HTTP/2 over TLS";
constexpr char kRefused[] =
    "the server refuses the TLS handshake; it may want a client certificate that it trusts";

// A server that gets no TLS, or no certificate, where it wants some may close without a word.
constexpr char kClosedAtOnce[] =
    "the server closes connections at once; it may want TLS, or a client certificate that it "
    "trusts";

// What is in the text of gRPC and OpenSSL, and what it means; the first that is there counts.
struct Hint {
  const char* text;
  const char* meaning;
};

constexpr Hint kHints[] = {
    {"certificate verify failed", kUntrusted},
    // Signed by another authority of the same name: with an elliptic curve, with RSA, and with an
    // elliptic curve in OpenSSL 3.5.
    {"asn1 encoding routines", kUntrusted},
    {"rsa routines", kUntrusted},
    {"provider signature failure", kUntrusted},
    {"is not in peer certificate", "the server's certificate is for another name"},
    {"wrong version number", "the server does not speak TLS"},
    {"no application protocol", kNoHttp2},
    {"missing selected ALPN", kNoHttp2},
    {"tlsv1 alert ", kRefused},
    {"tlsv13 alert ", kRefused},
    {"sslv3 alert ", kRefused},
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeTlsCredentials(
    const TlsOptions& options) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError(options.key_file.empty()
                                          ? "tls.cert_file requires tls.key_file"
                                          : "tls.key_file requires tls.cert_file");
  }
  const bool is_name =
      std::all_of(options.server_name.begin(), options.server_name.end(),
                  [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
  if (!is_name) return absl::InvalidArgumentError("tls.server_name must be a host's name");
  grpc::SslCredentialsOptions credentials;
  if (!options.ca_file.empty()) {
    absl::StatusOr<PemFile> roots = ReadPemFile("tls.ca_file", options.ca_file);
    if (!roots.ok()) return roots.status();
    const absl::StatusOr<Certificate> certificate = FirstCertificate(*roots);
    if (!certificate.ok()) return certificate.status();
    credentials.pem_root_certs = std::move(roots->text);
  }
  if (!options.cert_file.empty()) {
    absl::Status status = AddIdentity(options, &credentials);
    if (!status.ok()) return status;
  }
  return grpc::SslCredentials(credentials);
}

absl::string_view HandshakeHint(absl::string_view message) {
  for (const Hint& hint : kHints) {
    if (absl::StrContains(message, hint.text)) return hint.meaning;
  }
  // gRPC says "last error" of connections that never stood.
  if (!absl::StrContains(message, "last error: ")) return "";
  for (const char* const text : {"Socket closed", "Endpoint read failed"}) {
    if (absl::StrContains(message, text)) return kClosedAtOnce;
  }
  return "";
}

}  // namespace qkserve
