#ifndef QKSERVE_SERVER_OBSERVE_LOG_FORMAT_H_
#define QKSERVE_SERVER_OBSERVE_LOG_FORMAT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log.h"

namespace qkserve {

enum class LogFormat { kText, kJson };

// The value of --log_format; see base/flags.h.
bool ParseFlag(absl::string_view text, LogFormat* format, std::string* error);
std::string FlagText(LogFormat format);

// The event as one line, without its end; nothing that it holds can begin another.
//
//   text: 2026-01-31T12:00:00.000000Z info message name=value name="two words"
//   JSON: {"time": .., "level": .., "message": .., name: value ..}
//
// JSON is always valid: bytes that are not UTF-8 become U+FFFD.
std::string FormatLogLine(LogFormat format, absl::Time time, const LogEvent& event);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_LOG_FORMAT_H_
