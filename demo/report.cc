#include "demo/report.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "demo/code_points.h"
#include "demo/text_embedding.h"

namespace qkserve {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kPlaceWidthMax = 30;
constexpr int kBarWidth = 28;
// The column in which the text of an answer begins.
constexpr size_t kAnswerIndent = 10;

std::string Heading(absl::string_view title) {
  return absl::StrCat("\n", title, "\n", std::string(title.size(), '-'), "\n");
}

size_t Width(absl::string_view text) { return DecodeUtf8(text).size(); }

// Wraps `text` into lines of at most kWidth characters that begin at column `indent`. Cuts words
// that are longer than a line.
std::string Wrapped(absl::string_view text, size_t indent = 0) {
  std::string lines;
  size_t used = 0;  // characters in the last line
  for (const absl::string_view part : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::string word = PrintableClip(part, kWidth - indent);
    const size_t width = Width(word);
    if (used > 0 && used + 1 + width <= kWidth) {
      absl::StrAppend(&lines, " ", word);
      used += 1 + width;
    } else {
      absl::StrAppend(&lines, used > 0 ? "\n" : "", std::string(indent, ' '), word);
      used = indent + width;
    }
  }
  return lines.append("\n");
}

// Formats a count with commas between groups of three digits.
std::string Count(int64_t count) {
  std::string text = absl::StrCat(count);
  for (auto i = static_cast<int64_t>(text.size()) - 3; i > 0; i -= 3) {
    text.insert(static_cast<size_t>(i), 1, ',');
  }
  return text;
}

std::string Count(size_t count, absl::string_view noun) {
  return absl::StrCat(Count(static_cast<int64_t>(count)), " ", noun, count == 1 ? "" : "s");
}

std::string Milliseconds(absl::Duration duration) {
  const double ms = absl::ToDoubleMilliseconds(duration);
  return ms < 10 ? absl::StrFormat("%.2f ms", ms) : absl::StrFormat("%.0f ms", ms);
}

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

// Shortens a place to its file name and line if it is too long.
std::string ShortPlace(absl::string_view place) {
  const std::u32string characters = DecodeUtf8(place);
  if (characters.size() <= kPlaceWidthMax) return PrintableClip(place, kPlaceWidthMax);
  const size_t slash = place.find_last_of('/');
  const absl::string_view name = slash == absl::string_view::npos ? place : place.substr(slash + 1);
  return PrintableClip(absl::StrCat(".../", name), kPlaceWidthMax);
}

std::string AnswerText(const Answer& answer) {
  const bool has_source = answer.question.source.has_value();
  std::string text =
      absl::StrCat("\n  \"", PrintableClip(answer.question.text, has_source ? 36 : 74), "\"");
  if (has_source) absl::StrAppend(&text, "  (from ", ShortPlace(*answer.question.source), ")");
  text.append("\n");
  for (size_t i = 0; i < answer.hits.size(); ++i) {
    const auto& [passage, score] = answer.hits[i];
    const std::string place = ShortPlace(passage->place);
    absl::StrAppendFormat(&text, "    %.2f  %s", score, place);
    if (i == 0) {  // the best passage is shown in full
      absl::StrAppend(&text, "\n", Wrapped(passage->text, kAnswerIndent));
    } else {
      const size_t left = kWidth - kAnswerIndent - Width(place) - 2;
      absl::StrAppend(&text, "  ", PrintableClip(passage->text, left), "\n");
    }
  }
  if (answer.hits.empty()) text.append("    no passage has a word of it\n");
  return text;
}

std::string Bar(absl::string_view name, const Throughput& throughput, double largest) {
  const int length =
      largest > 0 ? static_cast<int>(std::lround(throughput.PerSecond() / largest * kBarWidth)) : 0;
  return absl::StrFormat("  %-26s%7s requests/s  %s\n", name,
                         Count(std::lround(throughput.PerSecond())), std::string(length, '#'));
}

}  // namespace

std::string TextSection(absl::Span<const std::string> files, size_t passages, bool complete) {
  std::string names = ShortPlace(files[0]);
  if (files.size() == 2) absl::StrAppend(&names, " and ", ShortPlace(files[1]));
  if (files.size() > 2) absl::StrAppend(&names, " and ", files.size() - 1, " more files");
  std::string text = absl::StrCat(
      Heading("The text"),
      Wrapped(absl::StrCat(names, ": ", Count(passages, "passage"), ". Each becomes a key of ",
                           TextEmbedding::kDimensions,
                           " float32, made of its words, in which rare words weigh most. A real "
                           "service would put the embeddings of its model here.")));
  if (!complete) text.append("The text is longer; the rest is left out.\n");
  return text;
}

std::string ServerSection(const std::string& address, const v1::GetStatusResponse& status,
                          const KeySetInfo& key_set, absl::Duration put_time) {
  return absl::StrCat(
      Heading("The server"),
      Wrapped(absl::StrCat("qkserve ", status.version(), " at ", address, ": ",
                           Count(static_cast<size_t>(status.workers()), "worker"), ", kernel ",
                           status.key_set_kernel(), ". The keys now stay there as key set ",
                           key_set.name, ": ", Megabytes(key_set.memory_bytes), ", put in ",
                           Milliseconds(put_time), ".")));
}

absl::StatusOr<std::vector<Answer>> AnswersOf(const ScoreResult& result,
                                              absl::Span<const Question> questions,
                                              absl::Span<const Passage> passages) {
  const absl::Status wrong_form = absl::InternalError("the reply is not the top k that was asked");
  const Shape& shape = result.result.shape;
  if (!result.indices.has_value() || shape.size() != 2 || result.indices->shape != shape ||
      shape[0] != static_cast<int64_t>(questions.size())) {
    return wrong_form;
  }
  std::vector<Answer> answers;
  for (size_t q = 0; q < questions.size(); ++q) {
    answers.push_back({questions[q], {}});
    const auto scores = result.result.Row<float>(q);
    const auto indices = result.indices->Row<int32_t>(q);
    for (size_t i = 0; i < scores.size() && scores[i] > 0; ++i) {
      const auto index = static_cast<size_t>(indices[i]);  // a negative index becomes huge
      if (index >= passages.size()) return wrong_form;
      answers.back().hits.push_back({&passages[index], scores[i]});
    }
  }
  return answers;
}

std::string AnswerSection(absl::Span<const Answer> answers, const Receipt& receipt,
                          absl::Duration elapsed) {
  std::string text = absl::StrCat(
      Heading("Which passages answer a question?"),
      Wrapped(absl::StrCat("One request had ", Count(answers.size(), "question"),
                           " and no keys; back came the best passages of each, after ",
                           Milliseconds(elapsed), ", of which ", Milliseconds(receipt.computed),
                           " computed. A score of about 1, or more, means that a passage has all "
                           "words of the question.")));
  if (!answers.empty() && answers[0].question.source.has_value()) {
    text.append("The questions are phrases from the text with a word left out.\n");
  }
  for (const Answer& answer : answers) text.append(AnswerText(answer));
  return text;
}

std::string SharedPassSection(const SharedPassReport& report, size_t callers, int threads,
                              const KeySetInfo& key_set) {
  const double largest = std::max(
      {report.own_calls.PerSecond(), report.one_caller.PerSecond(), report.together.PerSecond()});
  const std::string together = absl::StrCat("qkserve, ", callers, " callers");
  std::string text = absl::StrCat(
      Heading("Many callers at once"),
      Wrapped(absl::StrCat("Key set ", key_set.name, ": ", Count(Catalogue::kKeys), " keys of ",
                           Catalogue::kDimensions, " float32, ", Megabytes(key_set.memory_bytes),
                           ". Each request has one query and gets its ", Catalogue::kTopK,
                           " best keys.")),
      "\n", Bar("one OpenBLAS call each", report.own_calls, largest),
      Bar("qkserve, 1 caller", report.one_caller, largest), Bar(together, report.together, largest),
      "\n",
      Wrapped(absl::StrCat(
          "The first row calls OpenBLAS in this process, on ",
          Count(static_cast<size_t>(threads), "thread"),
          " and without a network; the others are gRPC calls. Requests that wait for a worker "
          "share a pass over the keys, ",
          absl::StrFormat("%.0f", report.requests_of_a_pass), " of them on average: ",
          absl::StrFormat("%.1f", report.own_calls.PerSecond() > 0
                                      ? report.together.PerSecond() / report.own_calls.PerSecond()
                                      : 0),
          " times as many answers as one call each gives.")),
      "\n",
      Wrapped(absl::StrCat("Each of the ", Count(report.together.requests),
                           " answers is bit for bit the one that its request got alone.")));
  return text;
}

}  // namespace qkserve
