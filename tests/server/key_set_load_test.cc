// A key set changes while many clients send requests on it.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

constexpr int64_t kD = 48;
constexpr int64_t kDv = 20;
constexpr int64_t kKeysMin = 1500;  // every version has at least these keys
constexpr int kCallers = 12;
constexpr int kChanges = 60;

int64_t Pick(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// Returns a request that fits every version: any output, n, k and masks.
v1::ScoreRequest AnyRequest(std::mt19937_64& random) {
  const int64_t n = Pick(random, 0, 9) == 0 ? Pick(random, 1, 70) : Pick(random, 1, 3);
  ScoreOptions options;
  options.output = static_cast<Output>(Pick(random, 1, 6));
  options.scale = 0.2F;
  if (options.output == Output::kTopK) options.top_k = Pick(random, 1, 40);
  options.log_sum_exp = options.output == Output::kContext;
  if (Pick(random, 0, 3) == 0) options.softcap = 5.0F;
  if (Pick(random, 0, 3) == 0) options.key_lengths = {Pick(random, 0, kKeysMin)};
  if (Pick(random, 0, 4) == 0) options.window_left = Pick(random, 0, kKeysMin);
  Tensor mask;
  if (Pick(random, 0, 4) == 0) {
    mask = RandomTensor(DataType::kFloat32, {n, Pick(random, 0, kKeysMin)}, random());
    options.mask = mask.View();
  }
  options.result_type = static_cast<DataType>(Pick(random, 1, 3));
  const Tensor q = RandomTensor(DataType::kFloat32, {n, kD}, random());
  return MakeScoreRequest(q.View(), KeySetReference{"live"}, options);
}

// The keys [m, kD] and values [m, kDv] of one version.
struct Rows {
  std::vector<float> keys, values;

  int64_t m() const { return static_cast<int64_t>(keys.size()) / kD; }
  void Add(const Rows& more) {
    keys.insert(keys.end(), more.keys.begin(), more.keys.end());
    values.insert(values.end(), more.values.begin(), more.values.end());
  }
  TensorView Keys() const {
    return {DataType::kFloat32, {m(), kD}, reinterpret_cast<const std::byte*>(keys.data())};
  }
  TensorView Values() const {
    return {DataType::kFloat32, {m(), kDv}, reinterpret_cast<const std::byte*>(values.data())};
  }
};

Rows RandomRows(int64_t m, uint64_t seed) {
  return {ToFloats(RandomTensor(DataType::kFloat32, {m, kD}, seed).View()),
          ToFloats(RandomTensor(DataType::kFloat32, {m, kDv}, seed + 1).View())};
}

struct Answered {
  v1::ScoreRequest request;
  v1::ScoreResponse response;
};

class KeySetLoadTest : public KeySetServerTest {
 protected:
  // Replaces the set by `rows`.
  void Replace(const Rows& rows) {
    PutKeySetOptions options;
    options.values = rows.Values();
    Note(client_->PutKeySet("live", rows.Keys(), options), rows);
  }
  void Append(const Rows& rows) {
    AppendKeySetOptions options;
    options.values = rows.Values();
    Rows whole = versions_.rbegin()->second;
    whole.Add(rows);
    Note(client_->AppendKeySet("live", newest_, rows.Keys(), options), whole);
  }
  // Deletes the set. Puts `rows` after callers have seen that the set is gone.
  void DeleteAndPut(const Rows& rows) {
    ++absences_;
    ASSERT_TRUE(client_->DeleteKeySet("live").ok());
    while (not_found_ < kCallers && !HasFailure()) std::this_thread::yield();
    Replace(rows);
    ++absences_;
  }
  void Note(const absl::StatusOr<KeySetInfo>& info, const Rows& rows) {
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->keys.shape, rows.Keys().shape);
    versions_[info->version] = rows;
    newest_ = info->version;
  }

  // Sends requests until the changes are done.
  void Call(uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::unique_ptr<Client> client = Connect();
    while (!changes_are_done_) {
      Answered one = {AnyRequest(random), {}};
      const int64_t newest = newest_;
      const int64_t absences = absences_;
      absl::StatusOr<v1::ScoreResponse> response = client->Score(one.request, absl::Seconds(60));
      if (absl::IsNotFound(response.status()) && (absences % 2 == 1 || absences_ != absences)) {
        ++not_found_;
        continue;
      }
      ASSERT_TRUE(response.ok()) << response.status();
      // After a version was acknowledged, no reply may come from an older version.
      EXPECT_GE(response->receipt().key_set_version(), newest);
      if (response->receipt().batch_requests() > 1) ++batched_;
      one.response = *std::move(response);
      ++replies_;
      MutexLock lock(&mutex_);
      answered_.push_back(std::move(one));
    }
  }

  // Compares the replies with those of another server. That server holds each version as a separate
  // set that was put whole, and answers one request at a time.
  void CheckAnswers() {
    ServerOptions options = options_;
    options.workers = 1;
    options.key_set_dir = "";
    const std::unique_ptr<Server> idle = Server::Start(options).value();
    const std::unique_ptr<Client> client = Client::Create({.address = idle->address()}).value();
    for (const auto& [version, rows] : versions_) {
      PutKeySetOptions put;
      put.values = rows.Values();
      ASSERT_TRUE(client->PutKeySet(absl::StrCat(version), rows.Keys(), put).ok());
    }
    MutexLock lock(&mutex_);
    for (Answered& one : answered_) {
      const int64_t version = one.response.receipt().key_set_version();
      ASSERT_EQ(versions_.count(version), 1U) << version;
      one.request.mutable_key_set()->set_name(absl::StrCat(version));
      const absl::StatusOr<v1::ScoreResponse> alone = client->Score(one.request, absl::Seconds(60));
      ASSERT_TRUE(alone.ok()) << alone.status();
      EXPECT_EQ(alone->receipt().batch_requests(), 1);
      for (const auto& [got, expected] :
           {std::pair(&one.response.result(), &alone->result()),
            std::pair(&one.response.indices(), &alone->indices()),
            std::pair(&one.response.log_sum_exp(), &alone->log_sum_exp())}) {
        ASSERT_EQ(got->SerializeAsString(), expected->SerializeAsString())
            << "version " << version << ", output " << v1::Output_Name(one.request.output());
      }
    }
  }

  std::map<int64_t, Rows> versions_;  // all acknowledged versions
  std::atomic<int64_t> newest_{0};
  std::atomic<int64_t> absences_{0};  // odd while the set may be missing
  std::atomic<int64_t> not_found_{0};
  std::atomic<bool> changes_are_done_{false};
  std::atomic<int64_t> replies_{0};
  std::atomic<int64_t> batched_{0};  // replies from batches of more than one request
  Mutex mutex_;
  std::vector<Answered> answered_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(KeySetLoadTest, EveryReplyIsThatOfTheOneVersionThatItNames) {
  const TemporaryDirectory directory("key_set_load_test");
  options_.key_set_dir = directory.Path("sets");
  Start();
  Replace(RandomRows(kKeysMin, 1));
  std::vector<std::thread> callers;
  for (uint64_t i = 0; i < kCallers; ++i) {
    callers.emplace_back([this, i] { Call(1000 + i); });
  }
  std::mt19937_64 random(5);
  for (int change = 1; change <= kChanges; ++change) {
    // Waits until each version has replies.
    const int64_t replies = replies_;
    while (replies_ < replies + kCallers && !HasFailure()) std::this_thread::yield();
    if (change == kChanges / 2) {
      Replace(RandomRows(kKeysMin, random()));
    } else if (change == kChanges / 4) {
      DeleteAndPut(RandomRows(kKeysMin, random()));
    } else {
      Append(RandomRows(Pick(random, 0, 2) == 0 ? Pick(random, 0, 300) : Pick(random, 0, 20),
                        random()));
    }
    if (HasFailure()) break;
  }
  // The first batch may take longer than the changes if the wire is slower than the workers.
  EXPECT_TRUE(Eventually([this] { return batched_ > 0; }));
  changes_are_done_ = true;
  for (std::thread& caller : callers) caller.join();
  if (HasFailure()) return;

  std::map<int64_t, int64_t> replies_of_version;
  {
    MutexLock lock(&mutex_);
    for (const Answered& one : answered_) {
      ++replies_of_version[one.response.receipt().key_set_version()];
    }
  }
  EXPECT_GT(replies_of_version.size(), static_cast<size_t>(kChanges) / 2);
  std::printf("%ld replies of %zu versions, %ld from batches of more than one request\n",
              static_cast<long>(replies_.load()), replies_of_version.size(),
              static_cast<long>(batched_.load()));
  CheckAnswers();
}

}  // namespace
}  // namespace qkserve
