#ifndef QKSERVE_BASE_LOG_H_
#define QKSERVE_BASE_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace qkserve {

enum class LogLevel { kInfo, kWarning, kError };

// Counts, sizes and versions are int64_t, because then all their digits are written.
using LogValue = std::variant<std::string, double, int64_t>;

// A message to the operator. It becomes one line of the log.
struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string message;
  // Values to search the log by. Names are literals in lower case with underscores.
  std::vector<std::pair<const char*, LogValue>> fields = {};
};

// Takes an event. Several threads may call it at a time. It must not block for long.
using LogSink = std::function<void(const LogEvent& event)>;

}  // namespace qkserve

#endif  // QKSERVE_BASE_LOG_H_
