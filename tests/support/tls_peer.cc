#include "tests/support/tls_peer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>

namespace qkserve {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

std::string CertificateOf(const SSL* ssl) {
  const std::unique_ptr<X509, Free> certificate(SSL_get1_peer_certificate(ssl));
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  if (certificate == nullptr || PEM_write_bio_X509(bio.get(), certificate.get()) != 1) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

TlsHandshake ShakeHands(const std::string& address, int version, const std::string& request) {
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
  constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
  SSL_CTX_set_alpn_protos(context.get(), kProtocols, sizeof(kProtocols) - 1);
  const std::unique_ptr<BIO, Free> bio(BIO_new_ssl_connect(context.get()));
  BIO_set_conn_hostname(bio.get(), address.c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  TlsHandshake handshake = {
      .is_done = BIO_do_connect(bio.get()) == 1, .certificate = "", .answer = ""};
  if (handshake.is_done) handshake.certificate = CertificateOf(ssl);
  if (handshake.is_done && !request.empty()) {
    BIO_write(bio.get(), request.data(), static_cast<int>(request.size()));
    std::array<char, 4096> bytes;
    for (int n; (n = BIO_read(bio.get(), bytes.data(), bytes.size())) > 0;) {
      handshake.answer.append(bytes.data(), static_cast<size_t>(n));
    }
  }
  ERR_clear_error();
  return handshake;
}

}  // namespace qkserve
