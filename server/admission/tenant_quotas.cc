#include "server/admission/tenant_quotas.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "base/visible_ascii.h"
#include "nlohmann/json.hpp"
#include "server/access/identity.h"
#include "server/admission/field_error.h"
#include "server/limits.h"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr char kRate[] = "cpu_ms_per_second";
constexpr char kUnlimited[] = "unlimited";

// Returns a text of the file as an error shows it: cut and escaped.
std::string Shown(absl::string_view text) {
  return absl::CHexEscape(Utf8Prefix(text, kTenantNameBytesMax));
}

std::string Path(absl::string_view where, absl::string_view member) {
  return where.empty() ? Shown(member) : absl::StrCat(where, ".", Shown(member));
}

// Parses the text. INVALID_ARGUMENT: it is not JSON, is nested too deeply, or has a member twice.
absl::StatusOr<json> ParseJson(absl::string_view text) {
  constexpr int kDepthMax = 3;
  std::vector<std::set<std::string>> members;  // names so far in each open object
  std::string repeated;
  bool is_deep = false;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    is_deep = is_deep || depth > kDepthMax;
    if (event == Event::object_start) members.emplace_back();
    if (event == Event::object_end) members.pop_back();
    if (event == Event::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!members.back().insert(name).second) repeated = name;
    }
    return !is_deep;
  };
  json parsed;
  try {
    parsed = json::parse(text.begin(), text.end(), check);
  } catch (const json::parse_error& error) {
    const size_t end = std::min(error.byte, text.size());
    return absl::InvalidArgumentError(absl::StrCat(
        "line ", 1 + std::count(text.begin(), text.begin() + end, '\n'), ": this is not JSON"));
  } catch (const json::exception& /*error*/) {
    return absl::InvalidArgumentError("a number is too large");
  }
  if (is_deep) return absl::InvalidArgumentError("objects are nested too deeply");
  if (repeated.empty()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat(Shown(repeated), ": got twice, expected once"));
}

// Returns INVALID_ARGUMENT unless `value` is an object with no members but `members`.
absl::Status CheckObject(const json& value, const std::string& where,
                         const std::vector<absl::string_view>& members) {
  if (!value.is_object()) {
    return FieldError(where.empty() ? "the file" : where, value.type_name(), "an object");
  }
  for (const auto& [name, member] : value.items()) {
    if (std::find(members.begin(), members.end(), name) != members.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat(Path(where, name), ": unknown member, expected ",
                                                   absl::StrJoin(members, " or ")));
  }
  return absl::OkStatus();
}

// Reads the quota of one tenant, or the quota of all other tenants.
absl::StatusOr<std::optional<double>> ParseQuota(const json& value, const std::string& where) {
  constexpr double kMsMax = 1e9;
  RETURN_IF_ERROR(CheckObject(value, where, {kRate}));
  const std::string path = Path(where, kRate);
  const std::string expected =
      absl::StrCat("a number from 0 to ", kMsMax, ", or \"", kUnlimited, "\"");
  const auto rate = value.find(kRate);
  if (rate == value.end()) return FieldError(path, "none", expected);
  if (rate->is_string() && rate->get_ref<const std::string&>() == kUnlimited) {
    return std::optional<double>();
  }
  if (!rate->is_number() || rate->get<double>() < 0.0 || rate->get<double>() > kMsMax) {
    return FieldError(path, Shown(rate->dump(-1, ' ', true, json::error_handler_t::replace)),
                      expected);
  }
  return std::optional<double>(rate->get<double>() / 1000.0);
}

}  // namespace

absl::StatusOr<TenantQuotas> ParseTenantQuotas(absl::string_view text) {
  ASSIGN_OR_RETURN(const json file, ParseJson(text));
  RETURN_IF_ERROR(CheckObject(file, "", {"default", "tenants"}));
  TenantQuotas quotas;
  if (file.contains("default")) {
    ASSIGN_OR_RETURN(quotas.default_rate, ParseQuota(file["default"], "default"));
  }
  if (!file.contains("tenants")) return quotas;
  const json& tenants = file["tenants"];
  if (!tenants.is_object()) return FieldError("tenants", tenants.type_name(), "an object");
  for (const auto& [name, quota] : tenants.items()) {
    // A tenant with another name cannot exist.
    if (name.empty() || name.size() > kIdentityBytesMax || !IsVisibleAscii(name)) {
      return FieldError("tenants", absl::StrCat("the name '", Shown(name), "'"),
                        absl::StrCat("1 to ", kIdentityBytesMax, " visible ASCII characters"));
    }
    ASSIGN_OR_RETURN(quotas.rates[name], ParseQuota(quota, Path("tenants", name)));
  }
  return quotas;
}

}  // namespace qkserve
