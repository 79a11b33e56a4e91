#ifndef QKSERVE_BASE_PEM_H_
#define QKSERVE_BASE_PEM_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qkserve {

// Checks certificates and keys in PEM format with OpenSSL. gRPC would find a mistake only at a
// handshake, and would not say which file is wrong.
//
// This is a separate library (qkserve_pem), because the core does not use OpenSSL.

struct PemFile {
  std::string name;  // the file's name in errors
  std::string text;
};

// Reads a file for the checks below. PemFile::name, and the name in this function's errors, is
// `what` followed by the path, for example "check_ca_file: /path". OUT_OF_RANGE: the file is larger
// than 16 MiB. Other errors are the operating system's.
absl::StatusOr<PemFile> ReadPemFile(absl::string_view what, const std::string& path);

// The period in which a certificate is valid.
struct CertificateTimes {
  absl::Time begin;
  absl::Time end;
};

// Checks that the file has certificates and that all of them are whole. Returns the times of the
// first certificate. INVALID_ARGUMENT says what is wrong.
absl::StatusOr<CertificateTimes> CheckCertificates(const PemFile& file);

// Checks that TLS can use `key` with `chain`. `chain` has a certificate, followed by the
// certificates between it and its authority. The key must belong to the first certificate and have
// no pass phrase. OpenSSL must accept the key and all certificates as strong enough. Returns the
// first certificate's times, which are not checked. INVALID_ARGUMENT says which file is wrong and
// why.
absl::StatusOr<CertificateTimes> CheckIdentity(const PemFile& chain, const PemFile& key);

}  // namespace qkserve

#endif  // QKSERVE_BASE_PEM_H_
