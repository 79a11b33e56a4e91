#include "server/observe/log_format.h"

#include <algorithm>
#include <cstdint>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%d%ET%H:%M:%E6SZ";

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// Escapes only what would end the line or move the terminal's cursor.
std::string OneLine(absl::string_view text) {
  if (std::none_of(text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(c); })) {
    return std::string(text);
  }
  return absl::Utf8SafeCEscape(text);
}

std::string FieldText(const LogValue& value) {
  if (const int64_t* count = std::get_if<int64_t>(&value)) return absl::StrCat(*count);
  if (const double* number = std::get_if<double>(&value)) return absl::StrCat(*number);
  const auto& text = std::get<std::string>(value);
  const auto is_plain = [](char c) { return absl::ascii_isgraph(c) && c != '"' && c != '='; };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
}

std::string JsonLine(const std::string& time, const LogEvent& event) {
  nlohmann::ordered_json line = {
      {"time", time}, {"level", LevelName(event.level)}, {"message", event.message}};
  for (const auto& [name, value] : event.fields) {
    std::visit([&line, key = name](const auto& held) { line[key] = held; }, value);
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

bool ParseFlag(absl::string_view text, LogFormat* format, std::string* error) {
  if (text == "text") {
    *format = LogFormat::kText;
  } else if (text == "json") {
    *format = LogFormat::kJson;
  } else {
    *error = "expected text or json";
    return false;
  }
  return true;
}

std::string FlagText(LogFormat format) { return format == LogFormat::kJson ? "json" : "text"; }

std::string FormatLogLine(LogFormat format, absl::Time time, const LogEvent& event) {
  const std::string when = absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
  if (format == LogFormat::kJson) return JsonLine(when, event);
  std::string line = absl::StrCat(when, " ", LevelName(event.level), " ", OneLine(event.message));
  for (const auto& [name, value] : event.fields) {
    absl::StrAppend(&line, " ", name, "=", FieldText(value));
  }
  return line;
}

}  // namespace qkserve
