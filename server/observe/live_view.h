#ifndef QKSERVE_SERVER_OBSERVE_LIVE_VIEW_H_
#define QKSERVE_SERVER_OBSERVE_LIVE_VIEW_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/observe/load_history.h"
#include "server/observe/metrics_exporter.h"

namespace qkserve {

// The data of the page for people: the last ten minutes, and the key sets as they are now.
//
// It needs no thread and no lock, because its owner takes the samples. Thread-compatible.
class LiveView {
 public:
  // The history begins now. The pointers must outlive the view.
  LiveView(const MetricsExporter* exporter, const Clock* clock);

  // Returns when TakeSample is to be called next.
  absl::Time due() const { return history_.due(); }
  // Adds a sample to the history. Takes less than 0.5 ms of CPU time.
  void TakeSample();

  // Returns a JSON document, which docs/metrics.md describes. It leaves out samples up to number
  // `after`. 0 asks for all samples.
  std::string Document(int64_t after) const;

 private:
  const MetricsExporter& exporter_;
  const Clock& clock_;
  const absl::Time started_;  // on the wall clock; tells a restarted server from the one before
  LoadHistory history_;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LIVE_VIEW_H_
