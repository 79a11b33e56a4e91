#include "server/tls/gnutls_identity.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace qkserve {
namespace {

IdentitySource& ThreadSource() {
  thread_local IdentitySource source;
  return source;
}

gnutls_datum_t Datum(const std::string& text) {
  // The cast is safe, because GnuTLS only reads the text.
  return {.data = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          .size = static_cast<unsigned>(text.size())};
}

unsigned CertificatesMax(absl::string_view pem) {
  constexpr absl::string_view kBegin = "-----BEGIN ";
  unsigned count = 0;
  for (size_t at = pem.find(kBegin); at != absl::string_view::npos;
       at = pem.find(kBegin, at + kBegin.size())) {
    ++count;
  }
  return count;
}

// Certificates and key in GnuTLS's memory. Release gives them to a session.
class Loaded {
 public:
  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    for (unsigned i = 0; i < count_; ++i) gnutls_pcert_deinit(&certificates_[i]);
    gnutls_free(certificates_);
    if (key_ != nullptr) gnutls_privkey_deinit(key_);
  }

  bool Load(const TlsIdentity& identity) {
    unsigned count = CertificatesMax(identity.chain);
    certificates_ = static_cast<gnutls_pcert_st*>(gnutls_calloc(count, sizeof(gnutls_pcert_st)));
    if (certificates_ == nullptr) return false;
    const gnutls_datum_t chain = Datum(identity.chain);
    if (gnutls_pcert_list_import_x509_raw(certificates_, &count, &chain, GNUTLS_X509_FMT_PEM, 0) <
        0) {
      return false;
    }
    count_ = count;
    const gnutls_datum_t key = Datum(identity.key);
    return count_ > 0 && gnutls_privkey_init(&key_) >= 0 &&
           gnutls_privkey_import_x509_raw(key_, &key, GNUTLS_X509_FMT_PEM, nullptr, 0) >= 0;
  }

  void Release(gnutls_pcert_st** certificates, unsigned* count, gnutls_privkey_t* key) {
    *certificates = std::exchange(certificates_, nullptr);
    *count = std::exchange(count_, 0);
    *key = std::exchange(key_, nullptr);
  }

 private:
  gnutls_pcert_st* certificates_ = nullptr;
  unsigned count_ = 0;
  gnutls_privkey_t key_ = nullptr;
};

}  // namespace

bool CanGnuTlsUse(const TlsIdentity& identity) { return Loaded().Load(identity); }

void SetThreadIdentitySource(IdentitySource source) { ThreadSource() = std::move(source); }

int RetrieveIdentity(gnutls_session_t /*session*/, const gnutls_cert_retr_st* /*info*/,
                     gnutls_pcert_st** certificates, unsigned* certificate_count,
                     gnutls_ocsp_data_st** ocsp, unsigned* ocsp_count, gnutls_privkey_t* key,
                     unsigned* flags) {
  if (ThreadSource() == nullptr) return -1;
  Loaded loaded;
  if (!loaded.Load(*ThreadSource()())) return -1;
  loaded.Release(certificates, certificate_count, key);
  *ocsp = nullptr;
  *ocsp_count = 0;
  // The session frees what it was given.
  *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
  return 0;
}

}  // namespace qkserve
