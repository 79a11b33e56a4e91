#include "tools/qkctl/output/key_set_text.h"

#include <array>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/byte_size.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// A column of the table. The column of values is left out if no set has values.
struct Column {
  const char* name;
  TextAlign align;
};
constexpr std::array<Column, 7> kColumns = {{{"NAME", TextAlign::kLeft},
                                             {"VERSION", TextAlign::kRight},
                                             {"KEYS", TextAlign::kLeft},
                                             {"VALUES", TextAlign::kLeft},
                                             {"TYPE", TextAlign::kLeft},
                                             {"MEMORY", TextAlign::kRight},
                                             {"REQUESTS", TextAlign::kRight}}};
constexpr size_t kValuesColumn = 3;

std::string TypeText(const KeySetInfo& key_set) {
  const absl::string_view keys = DataTypeName(key_set.keys.data_type);
  if (!key_set.values.has_value() || key_set.values->data_type == key_set.keys.data_type) {
    return std::string(keys);
  }
  return absl::StrCat(keys, ", ", DataTypeName(key_set.values->data_type));
}

// Returns the values' shape, such as "[.., 128]". The other dimensions are those of the keys.
std::string ValuesText(const KeySetInfo& key_set) {
  if (!key_set.values.has_value() || key_set.values->shape.empty()) return "-";
  return absl::StrCat("[.., ", key_set.values->shape.back(), "]");
}

std::vector<std::string> RowOf(const KeySetInfo& key_set) {
  if (key_set.version == 0) return {Printable(key_set.name), "-", Printable(key_set.problem)};
  return {Printable(key_set.name),
          absl::StrCat(key_set.version),
          ShapeString(key_set.keys.shape),
          ValuesText(key_set),
          TypeText(key_set),
          RoundByteSize(key_set.memory_bytes),
          absl::StrCat(key_set.requests_served)};
}

nlohmann::ordered_json SpecJson(const TensorSpec& spec) {
  return {{"data_type", std::string(DataTypeName(spec.data_type))}, {"shape", spec.shape}};
}

}  // namespace

std::string KeySetTable(absl::Span<const KeySetInfo> key_sets, size_t width) {
  if (key_sets.empty()) return "no key sets\n";
  std::vector<TextAlign> columns;
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : kColumns) {
    columns.push_back(column.align);
    rows[0].emplace_back(column.name);
  }
  for (const KeySetInfo& key_set : key_sets) {
    rows.push_back(RowOf(key_set));
    if (key_set.version != 0 && !key_set.problem.empty()) {
      rows.push_back({absl::StrCat("  ", Printable(key_set.problem))});
    }
  }
  if (absl::c_none_of(key_sets, [](const auto& set) { return set.values.has_value(); })) {
    columns.erase(columns.begin() + kValuesColumn);
    for (std::vector<std::string>& row : rows) {
      if (row.size() == kColumns.size()) row.erase(row.begin() + kValuesColumn);
    }
  }
  return TextTable(columns, rows, width);
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
