#ifndef QKSERVE_SERVER_TLS_GNUTLS_IDENTITY_H_
#define QKSERVE_SERVER_TLS_GNUTLS_IDENTITY_H_

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include <functional>
#include <memory>

#include "server/tls/tls_identity.h"

namespace qkserve {

// The identity in GnuTLS's form. libmicrohttpd uses GnuTLS for TLS.

// True if GnuTLS can read the certificates and the key.
bool CanGnuTlsUse(const TlsIdentity& identity);

// Sets the source of RetrieveIdentity for the calling thread. Each thread has its source, because
// libmicrohttpd passes no pointer of ours to RetrieveIdentity, but calls it on the thread that runs
// the daemon.
using IdentitySource = std::function<std::shared_ptr<const TlsIdentity>()>;
void SetThreadIdentitySource(IdentitySource source);

// Gives an identity to a handshake. libmicrohttpd calls it for each handshake
// (MHD_OPTION_HTTPS_CERT_CALLBACK2). Parses the identity anew each time, so that the copy never
// outlives the handshake. This takes some tens of microseconds. Returns -1, which ends the
// handshake, if the thread has no source.
int RetrieveIdentity(gnutls_session_t session, const gnutls_cert_retr_st* info,
                     gnutls_pcert_st** certificates, unsigned* certificate_count,
                     gnutls_ocsp_data_st** ocsp, unsigned* ocsp_count, gnutls_privkey_t* key,
                     unsigned* flags);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_TLS_GNUTLS_IDENTITY_H_
