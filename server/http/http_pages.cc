#include "server/http/http_pages.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/http/page.h"

namespace qkserve {
namespace {

// Makes a fresh nonce. A browser does not run a script or style that somehow got into the page,
// because such a part lacks the nonce.
std::string MakeNonce() {
  std::random_device random;
  std::string nonce;
  constexpr int kWords = 4;
  for (int i = 0; i < kWords; ++i) absl::StrAppend(&nonce, absl::Hex(random(), absl::kZeroPad8));
  return nonce;
}

HttpAnswer Page() {
  const std::string nonce = MakeNonce();
  return {.content_type = "text/html; charset=utf-8",
          .body = absl::StrReplaceAll(kPageHtml, {{"@NONCE@", nonce}}),
          .headers = {{"Content-Security-Policy",
                       absl::StrCat("default-src 'none'; script-src 'nonce-", nonce,
                                    "'; style-src 'nonce-", nonce,
                                    "'; img-src data:; connect-src 'self'; base-uri 'none'; "
                                    "form-action 'none'; frame-ancestors 'none'")}}};
}

HttpAnswer History(absl::string_view after, const LiveView& live) {
  int64_t number = 0;
  if (!after.empty() && (!absl::SimpleAtoi(after, &number) || number < 0)) {
    return {.status = 400, .body = "after: expected the number of a sample, or 0\n"};
  }
  return {.content_type = "application/json", .body = live.Document(number)};
}

// Returns the path of a target. A target may name the host, too, because proxies send such targets
// (RFC 9112, 3.2.2).
absl::string_view PathOf(absl::string_view target) {
  for (const absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(std::min(target.find('/', scheme.size()), target.size()));
    return target.empty() ? "/" : target;
  }
  return target;
}

}  // namespace

HttpAnswer AnswerHttp(const HttpRequest& request, const MetricsExporter& exporter,
                      const LiveView& live) {
  if (request.method != "GET" && request.method != "HEAD") {
    return {.status = 405, .body = "only GET and HEAD\n", .headers = {{"Allow", "GET, HEAD"}}};
  }
  const absl::string_view path = PathOf(request.target);
  if (path == "/") return Page();
  if (path == "/history.json") return History(request.after, live);
  if (path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = exporter.Text()};
  }
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/readyz") {
    const std::string why_not = exporter.WhyNotReady();
    return {.status = why_not.empty() ? 200 : 503,
            .body = absl::StrCat(why_not.empty() ? "ready" : why_not, "\n")};
  }
  return {.status = 404, .body = "not here; see /, /history.json, /metrics, /healthz, /readyz\n"};
}

}  // namespace qkserve
