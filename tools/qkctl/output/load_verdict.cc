#include "tools/qkctl/output/load_verdict.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "tools/qkctl/command.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// The exit code if the load that was sent is not the load that was asked for.
constexpr int kBehindSchedule = 3;

// Returns the text of a request's error, with advice if its time was too short.
std::string RequestErrorText(const absl::Status& error, const LoadOptions& options) {
  return std::string(WithTimeout(error, options.timeout).message());
}

absl::Status JudgeErrors(const LoadReport& report, const StatusCodes& allowed) {
  int64_t failed = 0, sent = 0;
  absl::Status first;
  for (const LoadResult& step : report.steps) {
    sent += step.counts.sent;
    absl::Duration first_time = first.ok() ? absl::InfiniteDuration() : absl::ZeroDuration();
    for (const auto& [code, errors] : step.counts.errors_by_code) {
      if (allowed.Has(code)) continue;
      failed += errors.count;
      if (errors.first_time >= first_time) continue;
      first_time = errors.first_time;
      first = absl::Status(code, errors.first_message);
    }
  }
  if (failed == 0) return absl::OkStatus();
  return absl::Status(
      first.code(),
      absl::StrCat(failed, " of ", sent, " requests failed, the first with: ",
                   RequestErrorText(first, report.steps[0].options), " (see --allow_errors)"));
}

std::string SilenceText(const LoadResult& step) {
  return step.nobody_there.ok()
             ? absl::StrCat("none of ", CountText(step.counts.sent, "request"), " was answered")
             : std::string(step.nobody_there.message());
}

absl::Status JudgePeak(const LoadReport& report) {
  switch (report.peak->end) {
    case PeakEnd::kNothingHeld:
      return absl::OutOfRangeError("no rate holds the limit");
    case PeakEnd::kServerGone:
      return absl::UnavailableError(
          absl::StrCat("the server does not answer any more: ", SilenceText(report.steps.back())));
    case PeakEnd::kClientLimited:
      return WithExitCode(absl::AbortedError("this client could not send what the next rate asked "
                                             "for; more --channels, or less on its CPUs, may help"),
                          kBehindSchedule);
    case PeakEnd::kInterrupted:
      return report.peak->held.has_value() ? absl::OkStatus()
                                           : absl::CancelledError("ended before any rate held");
    default:
      return absl::OkStatus();
  }
}

}  // namespace

absl::Status CheckAnswered(const LoadReport& report, const StatusCodes& allowed, bool interrupted) {
  absl::Status first;
  bool unsent = false;
  for (const LoadResult& step : report.steps) {
    if (step.counts.ok > 0) return absl::OkStatus();
    for (const auto& [code, errors] : step.counts.errors_by_code) {
      if (allowed.Has(code)) return absl::OkStatus();
    }
    const absl::Status error = step.counts.FirstError();
    if (!error.ok()) {
      first.Update(absl::Status(error.code(),
                                absl::StrCat("no request was answered OK; the first failed with: ",
                                             RequestErrorText(error, step.options))));
    }
    first.Update(step.nobody_there);  // no server answered in the warm-up
    unsent |= step.counts.unsent > 0;
  }
  if (!first.ok()) return first;
  if (interrupted) return absl::CancelledError("ended before the first answer");
  // No request is due if the load is too short or its rate is too low.
  return unsent ? absl::OkStatus() : absl::OutOfRangeError("no request was due within --duration");
}

absl::Status JudgeLoad(const LoadReport& report, const StatusCodes& allowed) {
  if (report.verify.has_value() && report.verify->result.wrong > 0) {
    return report.verify->result.first_wrong;
  }
  RETURN_IF_ERROR(JudgeErrors(report, allowed));
  if (report.peak.has_value()) return JudgePeak(report);
  for (const LoadResult& step : report.steps) {
    if (!step.nobody_there.ok()) return step.nobody_there;
    if (!step.KeptSchedule()) {
      return WithExitCode(absl::AbortedError(BehindScheduleText(step)), kBehindSchedule);
    }
  }
  return absl::OkStatus();
}

}  // namespace qkserve
