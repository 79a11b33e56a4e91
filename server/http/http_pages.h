#ifndef QKSERVE_SERVER_HTTP_HTTP_PAGES_H_
#define QKSERVE_SERVER_HTTP_HTTP_PAGES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/observe/metrics_exporter.h"

namespace qkserve {

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// The answers of the HTTP port. GET and HEAD are answered for
//
//   /         a page for people that reads /metrics
//   /metrics  Prometheus's text format
//   /healthz  200: the process lives
//   /readyz   200: it takes requests; 503: it does not, and the body says why
//
// Everything else is 404, other methods are 405.
// The target is a path, or http(s)://HOST/PATH; it has no query.
HttpAnswer AnswerHttp(absl::string_view method, absl::string_view target,
                      const MetricsExporter& exporter);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_HTTP_PAGES_H_
