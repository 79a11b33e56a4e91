#include "server/access/access_file.h"
#include "server/access/token_file.h"
#include "server/admission/tenant_quotas.h"
#include "tests/fuzz/fuzz_target.h"

namespace qkserve {

void FuzzAccess(absl::string_view input) {
  if (const auto tokens = ParseTokenFile(input); tokens.ok()) {
    Require(tokens->size() * 71 <= input.size(), "a token has a line of its own");
  }
  if (const auto rules = ParseAccessFile(input); rules.ok()) {
    for (const char* const identity : {"", "ranking"}) (void)(*rules)->For(identity);
  }
  (void)ParseTenantQuotas(input);
}

FuzzSeeds AccessSeeds() {
  return {{"tokens", TokenFileLine("ranking", "secret").value() + "\n# none\n"},
          {"access", "ranking score items-* popular\nranking score_inline\nanyone read public-*\n"},
          {"quotas", R"({"tenants": {"web": {"cpu_ms_per_second": 500}}})"}};
}

}  // namespace qkserve
