#ifndef QKSERVE_BASE_PEM_H_
#define QKSERVE_BASE_PEM_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace qkserve {

// Certificates and keys in PEM format, checked by OpenSSL. gRPC would find a mistake only at a
// handshake, and would not say which file is wrong.
//
// A library of its own (qkserve_pem), because the core does without OpenSSL.

struct PemFile {
  std::string name;  // as errors name the file
  std::string text;
};

// Reads a file for the checks below. Its name, also in errors, is `what` followed by the path:
// "check_ca_file: " gives "check_ca_file: /path". OUT_OF_RANGE: it is larger than 16 MiB. Other
// errors are the operating system's.
absl::StatusOr<PemFile> ReadPemFile(absl::string_view what, const std::string& path);

// When a certificate is valid.
struct CertificateTimes {
  absl::Time begin;
  absl::Time end;
};

// Checks that the file has certificates and that all of them are whole. Returns the times of the
// first one. INVALID_ARGUMENT says what is wrong.
absl::StatusOr<CertificateTimes> CheckCertificates(const PemFile& file);

// Checks that TLS can use `key` with `chain`: a certificate, followed by those between it and its
// authority. The key has no pass phrase and is the certificate's, and neither is too weak for
// OpenSSL. Returns the certificate's times, which are not checked. INVALID_ARGUMENT says which file
// is wrong and why.
absl::StatusOr<CertificateTimes> CheckIdentity(const PemFile& chain, const PemFile& key);

}  // namespace qkserve

#endif  // QKSERVE_BASE_PEM_H_
