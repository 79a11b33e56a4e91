#include "tests/server/key_set_writer.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/random_tensor.h"

namespace qkserve {
namespace {

int64_t Pick(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

int64_t Keys(const KeySetWriter::Parts& parts) {
  int64_t keys = 0;
  for (const KeySetWriter::Part& part : parts) keys += part.rows;
  return keys;
}

// The rows of the parts, one part after the other: [.., m, columns].
Tensor Rows(const KeySetWriter::Kind& kind, const KeySetWriter::Parts& parts, int64_t columns,
            uint64_t salt) {
  const auto shape = [&](int64_t rows) {
    Shape shape = kind.leading;
    shape.insert(shape.end(), {rows, columns});
    return shape;
  };
  Tensor whole = EmptyTensor(DataType::kFloat32, shape(Keys(parts)));
  std::vector<Tensor> tensors;
  for (const KeySetWriter::Part& part : parts) {
    tensors.push_back(RandomTensor(DataType::kFloat32, shape(part.rows), 2 * part.seed + salt));
  }
  std::byte* to = whole.data.data();
  const int64_t matrices = *ElementCount(kind.leading);
  for (int64_t matrix = 0; matrix < matrices; ++matrix) {
    for (const Tensor& tensor : tensors) {
      const size_t bytes = tensor.data.size_bytes() / static_cast<size_t>(matrices);
      if (bytes == 0) continue;
      std::memcpy(to, tensor.data.data() + static_cast<size_t>(matrix) * bytes, bytes);
      to += bytes;
    }
  }
  return whole;
}

// Returns the set's answers to some queries. The scores depend on all keys, and the context depends
// on all values.
absl::StatusOr<std::string> Answers(Client& client, const KeySetWriter::Kind& kind,
                                    const std::string& name) {
  Shape shape = kind.leading;
  shape.insert(shape.end(), {3, kind.d});
  const Tensor queries = RandomTensor(DataType::kFloat32, shape, 7);
  std::string answers;
  for (const Output output : {Output::kScores, Output::kContext}) {
    ScoreOptions options;
    options.output = output;
    const auto result = client.Score(queries.View(), KeySetReference{name}, options);
    if (!result.ok()) return result.status();
    absl::StrAppend(&answers, ShapeString(result->result.shape));
    answers.append(reinterpret_cast<const char*>(result->result.data.data()),
                   result->result.data.size_bytes());
  }
  return answers;
}

absl::StatusOr<KeySetInfo> PutRows(Client& client, const KeySetWriter::Kind& kind,
                                   const std::string& name, const KeySetWriter::Parts& parts) {
  PutKeySetOptions options;
  const Tensor values = Rows(kind, parts, kind.dv, 1);
  options.values = values.View();
  options.storage = kind.storage;
  options.timeout = kPatience;
  options.chunk_bytes = 3000;
  return client.PutKeySet(name, Rows(kind, parts, kind.d, 0).View(), options);
}

}  // namespace

void KeySetWriter::Run(Client& client, const std::atomic<bool>& is_killed,
                       std::atomic<int64_t>& acknowledged) {
  while (true) {
    Choose();
    const absl::Status status = Make(client);
    if (!status.ok()) {
      EXPECT_TRUE(is_killed) << kind_.name << ": " << status;
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << kind_.name << ": " << status;
      return;
    }
    ++acknowledged;
  }
}

void KeySetWriter::Check(Client& client, Client& memory) {
  const absl::StatusOr<KeySetInfo> info = client.GetKeySet(kind_.name);
  if (!info.ok()) {
    ASSERT_EQ(info.status().code(), absl::StatusCode::kNotFound) << info.status();
    ASSERT_TRUE(version_ == 0 || change_ == Change::kDelete)
        << kind_.name << " is gone, was at version " << version_;
    happened_ += version_ != 0 ? 1 : 0;
    version_ = 0;
    parts_.clear();
  } else if (info->version != version_) {
    ASSERT_TRUE(change_ == Change::kPut || change_ == Change::kAppend);
    ASSERT_GT(info->version, version_) << kind_.name;
    ASSERT_TRUE(versions_.Add(info->version)) << info->version;
    version_ = info->version;
    parts_ = next_;
    ++happened_;
  }
  const std::optional<Change> lost = std::exchange(change_, std::nullopt);
  if (version_ == 0) return;
  ASSERT_NO_FATAL_FAILURE(CheckContents(*info, client, memory));
  if (lost == Change::kAppend) SendAgain(client);
}

void KeySetWriter::Choose() {
  const int64_t dice = Pick(random_, 0, 99);
  const bool is_there = version_ != 0;
  change_ = !is_there || dice < 10 || Keys(parts_) > 2000 ? Change::kPut
            : dice < 20                                   ? Change::kDelete
                                                          : Change::kAppend;
  next_ = change_ == Change::kAppend ? parts_ : Parts();
  if (change_ == Change::kDelete) return;
  const int64_t rows_max = change_ == Change::kPut ? 500 : Pick(random_, 0, 4) == 0 ? 200 : 10;
  next_.push_back({random_() >> 2, Pick(random_, 0, rows_max)});
  base_version_ = version_;
}

absl::Status KeySetWriter::Make(Client& client) {
  if (change_ == Change::kDelete) {
    absl::Status status = client.DeleteKeySet(kind_.name, kPatience);
    if (!status.ok()) return status;
    version_ = 0;
  } else {
    const absl::StatusOr<KeySetInfo> info =
        change_ == Change::kPut ? PutRows(client, kind_, kind_.name, next_) : Append(client);
    if (!info.ok()) return info.status();
    EXPECT_TRUE(versions_.Add(info->version)) << info->version;
    EXPECT_GT(info->version, version_);
    version_ = info->version;
  }
  parts_ = next_;
  change_.reset();
  return absl::OkStatus();
}

absl::StatusOr<KeySetInfo> KeySetWriter::Append(Client& client) const {
  const Parts part = {next_.back()};
  const Tensor values = Rows(kind_, part, kind_.dv, 1);
  AppendKeySetOptions options;
  options.values = values.View();
  options.timeout = kPatience;
  return client.AppendKeySet(kind_.name, base_version_, Rows(kind_, part, kind_.d, 0).View(),
                             options);
}

void KeySetWriter::CheckContents(const KeySetInfo& info, Client& client, Client& memory) const {
  const Tensor keys = Rows(kind_, parts_, kind_.d, 0);
  ASSERT_EQ(info.keys.shape, keys.shape) << kind_.name;
  ASSERT_TRUE(PutRows(memory, kind_, kind_.name, parts_).ok());
  const absl::StatusOr<std::string> answers = Answers(client, kind_, kind_.name);
  const absl::StatusOr<std::string> expected = Answers(memory, kind_, kind_.name);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(*answers == *expected) << kind_.name << " holds other rows";
}

void KeySetWriter::SendAgain(Client& client) {
  const bool had_happened = version_ != base_version_;
  const absl::StatusOr<KeySetInfo> info = Append(client);
  if (had_happened) {
    ASSERT_EQ(info.status().code(), absl::StatusCode::kFailedPrecondition) << info.status();
    return;
  }
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_TRUE(versions_.Add(info->version)) << info->version;
  version_ = info->version;
  parts_ = next_;
}

}  // namespace qkserve
