#ifndef QKSERVE_TESTS_SUPPORT_TEST_AUTHORITY_H_
#define QKSERVE_TESTS_SUPPORT_TEST_AUTHORITY_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace qkserve {

// A certificate and its key in PEM.
struct Identity {
  std::string certificate;
  std::string key;
};

// The days on which a certificate is valid, counted from now. The default begins a day earlier,
// because clocks may differ a little or be changed.
struct CertificateDays {
  int first = -1;
  int last = 1;
};

// An authority that signs certificates. It is made anew for each test, so it cannot expire and no
// key is kept.
class TestAuthority {
 public:
  TestAuthority();

  // The certificate of the authority in PEM.
  const std::string& certificate() const { return pem_; }

  // Issues a certificate for either side of a connection. `names` are in OpenSSL's form:
  // "DNS:qkserve.test,IP:127.0.0.1".
  Identity Issue(const std::string& names, CertificateDays days = {}) const;
  // Does the same with RSA of 1024 bits, a key that OpenSSL takes for too weak.
  Identity IssueWeak(const std::string& names) const;

 private:
  Identity IssueFor(EVP_PKEY* key, const std::string& names, CertificateDays days) const;
  struct Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };

  // Returns a certificate for `key` that this authority signs, with one extension. While the
  // authority has no certificate, the certificate is for the authority itself.
  std::unique_ptr<X509, Free> Sign(EVP_PKEY* key, const char* subject, int extension,
                                   const std::string& value, CertificateDays days) const;

  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
  std::string pem_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_TEST_AUTHORITY_H_
