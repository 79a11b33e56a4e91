#include "tests/support/test_authority.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

constexpr long kDay = 24 * 60 * 60;

// Returns the text that `write` writes into a BIO.
template <typename Write>
std::string Written(const Write& write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  EXPECT_EQ(write(bio), 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string Pem(X509* certificate) {
  return Written([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

}  // namespace

TestAuthority::TestAuthority() : key_(EVP_EC_gen("P-256")) {
  certificate_ = Sign(key_.get(), "qkserve test authority", NID_basic_constraints, "CA:TRUE", {});
  pem_ = Pem(certificate_.get());
}

Identity TestAuthority::Issue(const std::string& names, CertificateDays days) const {
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_EC_gen("P-256"));
  return IssueFor(key.get(), names, days);
}

Identity TestAuthority::IssueWeak(const std::string& names) const {
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_RSA_gen(1024));
  return IssueFor(key.get(), names, {});
}

Identity TestAuthority::IssueFor(EVP_PKEY* key, const std::string& names,
                                 CertificateDays days) const {
  const std::unique_ptr<X509, Free> certificate =
      Sign(key, "qkserve test", NID_subject_alt_name, names, days);
  return {Pem(certificate.get()), Written([key](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

std::unique_ptr<X509, TestAuthority::Free> TestAuthority::Sign(EVP_PKEY* key, const char* subject,
                                                               int extension,
                                                               const std::string& value,
                                                               CertificateDays days) const {
  std::unique_ptr<X509, Free> certificate(X509_new());
  X509* const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  uint64_t serial = 0;
  EXPECT_EQ(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)), 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial);
  X509_gmtime_adj(X509_getm_notBefore(x509), days.first * kDay);
  X509_gmtime_adj(X509_getm_notAfter(x509), days.last * kDay);
  X509_set_pubkey(x509, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(subject), -1, -1, 0);
  X509* const issuer = certificate_ == nullptr ? x509 : certificate_.get();
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* const made = X509V3_EXT_nconf_nid(nullptr, &context, extension, value.c_str());
  EXPECT_NE(made, nullptr) << value;
  X509_add_ext(x509, made, -1);
  X509_EXTENSION_free(made);
  EXPECT_GT(X509_sign(x509, key_.get(), EVP_sha256()), 0);
  return certificate;
}

}  // namespace qkserve
