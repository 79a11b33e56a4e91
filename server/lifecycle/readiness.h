#ifndef QKSERVE_SERVER_LIFECYCLE_READINESS_H_
#define QKSERVE_SERVER_LIFECYCLE_READINESS_H_

namespace qkserve {

// How far the server's life has come. Senders of traffic ask for it.
enum class Readiness { kLoading, kServing, kDraining };

// The readiness in words for people.
inline const char* ReadinessText(Readiness readiness) {
  constexpr const char* kTexts[] = {"key sets are being loaded", "ready", "the server is draining"};
  return kTexts[static_cast<int>(readiness)];
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIFECYCLE_READINESS_H_
