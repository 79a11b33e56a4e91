#ifndef QKSERVE_BENCH_RESIDENT_DATA_H_
#define QKSERVE_BENCH_RESIDENT_DATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/workload.h"
#include "qkserve/v1/scoring.pb.h"

namespace qkserve::bench {

struct ResidentKeySet {
  std::string name;
  v1::Tensor keys;
  std::optional<v1::Tensor> values;
};

// The data of a workload.
struct ResidentData {
  std::vector<ResidentKeySet> key_sets;
  std::vector<v1::ScoreRequest> requests;  // with different queries
};

// The same for the same seed. Each key set has its share of the requests, as the workload's `zipf`
// says, as nearly as whole requests allow.
ResidentData MakeResidentData(const BenchWorkload& workload, int requests, uint64_t seed);

// The one that the request names.
const ResidentKeySet& KeySetOf(const ResidentData& data, const v1::ScoreRequest& request);

}  // namespace qkserve::bench

#endif  // QKSERVE_BENCH_RESIDENT_DATA_H_
