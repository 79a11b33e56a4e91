#include "tools/qkctl/output/key_set_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

constexpr size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;

// Numbers are aligned to the right.
constexpr std::array<bool, kColumns> kToTheRight = {false, true, false, false, false, true, true};

std::string TypeText(const KeySetInfo& key_set) {
  const absl::string_view keys = DataTypeName(key_set.keys.data_type);
  if (!key_set.values.has_value() || key_set.values->data_type == key_set.keys.data_type) {
    return std::string(keys);
  }
  return absl::StrCat(keys, ", ", DataTypeName(key_set.values->data_type));
}

Row RowOf(const KeySetInfo& key_set) {
  return {Printable(key_set.name),
          absl::StrCat(key_set.version),
          ShapeString(key_set.keys.shape),
          key_set.values.has_value() ? ShapeString(key_set.values->shape) : "-",
          TypeText(key_set),
          BytesText(key_set.memory_bytes),
          absl::StrCat(key_set.requests_served)};
}

void AppendRow(const Row& row, const std::array<size_t, kColumns>& widths, std::string* text) {
  std::string line;
  for (size_t i = 0; i < kColumns; ++i) {
    const std::string space(widths[i] - row[i].size(), ' ');
    absl::StrAppend(&line, i == 0 ? "" : "  ", kToTheRight[i] ? space : "", row[i],
                    kToTheRight[i] ? "" : space);
  }
  absl::StrAppend(text, line, "\n");
}

nlohmann::ordered_json SpecJson(const TensorSpec& spec) {
  return {{"data_type", std::string(DataTypeName(spec.data_type))}, {"shape", spec.shape}};
}

}  // namespace

std::string BytesText(int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < kKiB) return absl::StrCat(bytes, " B");
  double count = static_cast<double>(bytes) / static_cast<double>(kKiB);
  size_t unit = 0;
  // A count that would be rounded to 1024.0 is shown as 1.0 of the next unit.
  for (; count >= 1023.95 && unit + 1 < kUnits.size(); ++unit) count /= 1024;
  return absl::StrFormat("%.1f %s", count, kUnits[unit]);
}

std::string KeySetTable(absl::Span<const KeySetInfo> key_sets) {
  if (key_sets.empty()) return "no key sets\n";
  const Row head = {"NAME", "VERSION", "KEYS", "VALUES", "TYPE", "MEMORY", "REQUESTS"};
  std::vector<Row> rows = {head};
  for (const KeySetInfo& key_set : key_sets) {
    rows.push_back(RowOf(key_set));
    if (key_set.version == 0) rows.back() = {rows.back()[0], "-", "", "", "", "", ""};
  }
  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  AppendRow(head, widths, &text);
  for (size_t i = 0; i < key_sets.size(); ++i) {
    const std::string problem = Printable(key_sets[i].problem);
    if (key_sets[i].version == 0) {
      absl::StrAppendFormat(&text, "%-*s  %*s  %s\n", static_cast<int>(widths[0]), rows[i + 1][0],
                            static_cast<int>(widths[1]), "-", problem);
      continue;
    }
    AppendRow(rows[i + 1], widths, &text);
    if (!problem.empty()) absl::StrAppend(&text, "  ", problem, "\n");
  }
  return text;
}

nlohmann::ordered_json KeySetJson(const KeySetInfo& key_set) {
  nlohmann::ordered_json json = {{"name", key_set.name},
                                 {"version", nullptr},
                                 {"keys", nullptr},
                                 {"values", nullptr},
                                 {"memory_bytes", key_set.memory_bytes},
                                 {"requests_served", key_set.requests_served},
                                 {"problem", nullptr}};
  if (!key_set.problem.empty()) json["problem"] = key_set.problem;
  if (key_set.version == 0) return json;
  json["version"] = key_set.version;
  json["keys"] = SpecJson(key_set.keys);
  if (key_set.values.has_value()) json["values"] = SpecJson(*key_set.values);
  return json;
}

}  // namespace qkserve
