#ifndef QKSERVE_SERVER_LIMITS_H_
#define QKSERVE_SERVER_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "core/batching/limits.h"
#include "qkserve/limits.h"

// The limits of calls and connections. If an operator may change a limit, the constant is the
// default of a flag. docs/limits.md lists all limits, and a test compares its numbers with these.

namespace qkserve {

// The most bytes of a response beside the elements of its result: receipt, shape, framing.
inline constexpr int64_t kResponseOverheadBytesMax = 4 * kKiB;

// The most bytes that all requests in flight may hold (--in_flight_bytes_max).
inline constexpr int64_t kInFlightBytesMax = 2 * kGiB;

// The most uploads at a time.
inline constexpr int64_t kUploadsMax = 64;

// The most deletions of key sets at a time. Deletions wait for the threads that also write uploads.
inline constexpr int64_t kDeletionsMax = 1024;

// The most bytes of a call's metadata: keys, values, and 32 for each pair, as HTTP/2 counts them.
// gRPC holds these bytes for every call before a limit of this server applies. A token and a trace
// context take 1 to 4 KiB.
inline constexpr int kMetadataBytesMax = 8192;

// The most calls that may be under way on one connection. gRPC's clients hold further calls back
// until a call ends. If a client does not, its connection is closed. The limit costs no throughput,
// because far fewer calls keep all workers busy.
inline constexpr int kConnectionCallsMax = 1024;

// The most connections at a time (--connections_max). An idle connection takes about 17 KiB. The
// limit is lower if the process may open fewer files.
inline constexpr int64_t kConnectionsMax = 8192;

// Limits of connections that have ended but whose peers still read (Farewells::Limits). The silence
// is long enough for a client that was stopped for 10 s.
inline constexpr int64_t kFarewellsMax = 256;
inline constexpr int64_t kFarewellBytesMax = kMiB;
inline constexpr absl::Duration kFarewellTimeout = absl::Seconds(60);
inline constexpr absl::Duration kFarewellSilence = absl::Seconds(20);
inline constexpr absl::Duration kFarewellShortSilence = absl::Seconds(2);

// The number of files that connections leave for the rest of the process. 320 are for HTTP's
// connections, uploads, loading and merging of key sets, the log, and gRPC itself.
inline constexpr int64_t kReservedFiles = 320 + kFarewellsMax;

// The time in which a new connection must complete its handshakes, up to HTTP/2's settings.
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);

// The time that calls may go on after their connection has reached connection_age
// (--connection_grace). Long uploads need this time. The limit also bounds how long a peer can hold
// a place or memory by sending or reading very slowly.
inline constexpr absl::Duration kConnectionGrace = absl::Hours(1);

// The time in which a caller must take a reply (--reply_timeout). To take the largest reply in
// time, a caller must read 0.9 MB/s.
inline constexpr absl::Duration kReplyTimeout = absl::Minutes(5);

// The server sends a ping to a peer that is silent for kPingAfter. If the peer does not answer
// within kPingTimeout, it counts as vanished, and its connection is closed. The timeout is long
// enough for a client that was stopped for 10 s.
inline constexpr absl::Duration kPingAfter = absl::Seconds(60);
inline constexpr absl::Duration kPingTimeout = absl::Seconds(20);

// The time in which a TCP peer must take some of the bytes that wait for it.
inline constexpr absl::Duration kUnsentTimeout = absl::Seconds(60);

// The most tenants with names that are not authenticated. Callers with further names share one
// tenant. A name without calls for kTenantIdleMin makes room for a new name.
inline constexpr int64_t kTenantsMax = 1000;
inline constexpr absl::Duration kTenantIdleMin = absl::Minutes(1);

// The most characters of a tenant's name.
inline constexpr size_t kTenantNameBytesMax = 128;

// The largest request fits in flight with three copies of its result: computed, in the message and
// serialised.
static_assert(4 * kMessageBytesMax <= kInFlightBytesMax);
// gRPC holds sizes of messages in an int.
static_assert(kMessageBytesMax <= std::numeric_limits<int32_t>::max());
// One connection cannot fill the queue, but it can have all uploads.
static_assert(kConnectionCallsMax < kQueueRequestsMax && kUploadsMax <= kConnectionCallsMax);
// An upload has a file open for each column.
static_assert(2 * kUploadsMax < kReservedFiles);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_LIMITS_H_
