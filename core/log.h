#ifndef QKSERVE_CORE_LOG_H_
#define QKSERVE_CORE_LOG_H_

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace qkserve {

enum class LogLevel { kInfo, kWarning, kError };

// What is worth telling the operator: becomes one line of the log.
struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string message;
  // What a search would filter by. Names are literals in lower case with underscores.
  std::vector<std::pair<const char*, std::variant<std::string, double>>> fields = {};
};

// Called from any thread.
using LogSink = std::function<void(const LogEvent& event)>;

}  // namespace qkserve

#endif  // QKSERVE_CORE_LOG_H_
