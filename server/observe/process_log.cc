#include "server/observe/process_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "server/observe/log_writer.h"

namespace qkserve {
namespace {

constexpr char kTimeFormat[] = "%Y-%m-%d%ET%H:%M:%E6SZ";

const char* LevelName(LogLevel level) {
  constexpr const char* kNames[] = {"info", "warning", "error"};
  return kNames[static_cast<size_t>(level)];
}

constexpr absl::string_view kFormats[] = {"text", "json", "journald"};

// Priorities of syslog(3).
int JournalPriority(LogLevel level) {
  constexpr int kPriorities[] = {6, 4, 3};  // info, warning, err
  return kPriorities[static_cast<size_t>(level)];
}

// Escapes only characters that would end the line or move the terminal's cursor.
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
  // logfmt has no escape for single quotes. The first pair keeps an escaped backslash whole, so
  // that a quote behind it is not taken for an escaped one.
  return absl::StrCat(
      "\"", absl::StrReplaceAll(absl::Utf8SafeCEscape(text), {{"\\\\", "\\\\"}, {"\\'", "'"}}),
      "\"");
}

std::string JsonLine(const std::string& time, const LogEvent& event) {
  nlohmann::ordered_json line = {
      {"time", time}, {"level", LevelName(event.level)}, {"message", event.message}};
  for (const auto& [name, value] : event.fields) {
    std::visit([&line, key = name](const auto& held) { line[key] = held; }, value);
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// The longest wait for the reader of the log at the end of the process. A slow reader still gets
// the last lines. A reader that has stopped delays the end no longer than this.
constexpr absl::Duration kWaitMax = absl::Seconds(1);

// This is null until StartLogWriter. It is never destroyed, because gRPC's threads may log until
// the process ends.
LogWriter* log_writer = nullptr;

}  // namespace

LogFormat DefaultLogFormat() {
  // The variable has the device and the inode of the journal's socket. They are compared, because a
  // process that got another standard error may still have the variable.
  const char* const journal = std::getenv("JOURNAL_STREAM");
  struct stat stream = {};
  if (journal == nullptr || fstat(STDERR_FILENO, &stream) != 0) return LogFormat::kText;
  return journal == absl::StrCat(stream.st_dev, ":", stream.st_ino) ? LogFormat::kJournald
                                                                    : LogFormat::kText;
}

bool ParseFlag(absl::string_view text, LogFormat* format, std::string* error) {
  *error = "expected text, json or journald";
  const auto* const found = std::find(std::begin(kFormats), std::end(kFormats), text);
  if (found == std::end(kFormats)) return false;
  *format = static_cast<LogFormat>(found - std::begin(kFormats));
  return true;
}

std::string FlagText(LogFormat format) {
  return std::string(kFormats[static_cast<size_t>(format)]);
}

std::string FormatLogLine(LogFormat format, absl::Time time, const LogEvent& event) {
  const std::string when = absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone());
  if (format == LogFormat::kJson) return JsonLine(when, event);
  std::string line = format == LogFormat::kJournald
                         ? absl::StrCat("<", JournalPriority(event.level), ">")
                         : absl::StrCat(when, " ", LevelName(event.level), " ");
  line += OneLine(event.message);
  for (const auto& [name, value] : event.fields) {
    absl::StrAppend(&line, " ", name, "=", FieldText(value));
  }
  return line;
}

void StartLogWriter(LogFormat format) {
  const auto dropped_line = [format](int64_t lines) {
    const LogEvent event = {LogLevel::kWarning,
                            "lines of the log were dropped: it could not be written, or not as "
                            "fast as they came",
                            {{"dropped", lines}}};
    return absl::StrCat(FormatLogLine(format, absl::Now(), event), "\n");
  };
  try {
    log_writer = new LogWriter(STDERR_FILENO, dropped_line);
  } catch (const std::system_error&) {
    // Lines are then written on their callers' threads. The start of the server will fail soon,
    // because it needs threads, too.
  }
}

void WriteToLog(std::string line) {
  if (log_writer != nullptr) {
    log_writer->Write(std::move(line));
  } else {
    WriteWithin(STDERR_FILENO, line, kWaitMax);
  }
}

void FlushLog() {
  if (log_writer != nullptr) log_writer->Flush(kWaitMax);
}

int64_t LogLinesDropped() { return log_writer != nullptr ? log_writer->lines_dropped() : 0; }

}  // namespace qkserve
