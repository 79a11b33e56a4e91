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

// Answers a request on the HTTP port. These paths have answers for GET and HEAD:
//
//   /              a page for people that reads /history.json
//   /history.json  the last ten minutes and the key sets; after=N leaves out samples up to N
//   /metrics       Prometheus's text format
//   /healthz       200: the process lives
//   /readyz        200: the server takes requests; 503: it does not, and the body says why
//
// Other paths get 404. Other methods get 405. An `after` that is not a number from 0 on gets 400.
HttpAnswer AnswerHttp(const HttpRequest& request, const MetricsExporter& exporter,
                      const LiveView& live);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_HTTP_PAGES_H_
