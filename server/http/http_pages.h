#ifndef QKSERVE_SERVER_HTTP_HTTP_PAGES_H_
#define QKSERVE_SERVER_HTTP_HTTP_PAGES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/observe/live_view.h"
#include "server/observe/metrics_exporter.h"

namespace qkserve {

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

struct HttpRequest {
  absl::string_view method;
  // A path, or http(s)://HOST/PATH, without the query.
  absl::string_view target;
  // The value of `after` in the query. "" if there is none.
  absl::string_view after = "";
};

// The answers of the HTTP port. GET and HEAD are answered for
//
//   /              a page for people that reads /history.json
//   /history.json  the last ten minutes and the key sets; after=N leaves samples up to N out
//   /metrics       Prometheus's text format
//   /healthz       200: the process lives
//   /readyz        200: it takes requests; 503: it does not, and the body says why
//
// Everything else is 404, other methods are 405, an `after` that is no number from 0 on is 400.
HttpAnswer AnswerHttp(const HttpRequest& request, const MetricsExporter& exporter,
                      const LiveView& live);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_HTTP_PAGES_H_
