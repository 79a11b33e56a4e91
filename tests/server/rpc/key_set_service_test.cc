// Key sets, tested with a real server and the client library.

#include "server/rpc/key_set_service.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/kernels/element_conversion.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;
using KeySetServiceTest = KeySetServerTest;

// Rounds the elements to `type`, as a set that stores this type should.
Tensor Rounded(const Tensor& tensor, DataType type) {
  Tensor rounded = EmptyTensor(type, tensor.shape);
  const std::vector<float> floats = ToFloats(tensor.View());
  ConvertFromFloat32(type, floats.data(), static_cast<int64_t>(floats.size()), rounded.data.data());
  return rounded;
}

void ExpectClose(const Tensor& got, const Tensor& expected, float bound) {
  ASSERT_EQ(got.shape, expected.shape);
  const std::vector<float> a = ToFloats(got.View());
  const std::vector<float> b = ToFloats(expected.View());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isinf(b[i])) {
      ASSERT_EQ(a[i], b[i]) << i;
    } else {
      ASSERT_NEAR(a[i], b[i], bound) << i;
    }
  }
}

TEST_F(KeySetServiceTest, PutsAppendsGetsAndDeletes) {
  Start();
  const KeySetInfo put = Put("items", {100, 24}, 1, 7);
  EXPECT_EQ(put.name, "items");
  EXPECT_GT(put.version, 0);
  EXPECT_EQ(put.keys.shape, Shape({100, 24}));
  EXPECT_EQ(put.keys.data_type, DataType::kFloat32);
  ASSERT_TRUE(put.values.has_value());
  EXPECT_EQ(put.values->shape, Shape({100, 7}));
  EXPECT_GE(put.memory_bytes, 100 * (24 + 7) * 4);
  EXPECT_EQ(put.requests_served, 0);
  EXPECT_EQ(put.problem, "");

  AppendKeySetOptions options;
  const Tensor values = Floats({30, 7}, 4);
  options.values = values.View();
  const absl::StatusOr<KeySetInfo> appended =
      client_->AppendKeySet("items", put.version, Floats({30, 24}, 3).View(), options);
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_GT(appended->version, put.version);
  EXPECT_EQ(appended->keys.shape, Shape({130, 24}));
  EXPECT_EQ(appended->values->shape, Shape({130, 7}));

  const absl::StatusOr<KeySetInfo> got = client_->GetKeySet("items");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->version, appended->version);
  EXPECT_EQ(got->keys.shape, Shape({130, 24}));
  EXPECT_EQ(got->memory_bytes, appended->memory_bytes);

  EXPECT_TRUE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ(client_->GetKeySet("items").status().code(), kNotFound);
  EXPECT_EQ(client_->DeleteKeySet("items").code(), kNotFound);
}

TEST_F(KeySetServiceTest, ListsPageByPageInOrderOfNames) {
  Start();
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) names.push_back(absl::StrFormat("set-%02d", i));
  for (size_t i = names.size(); i-- > 0;) Put(names[i], {1, 2}, i);

  std::vector<std::string> listed;
  const std::vector<KeySetInfo> all = client_->ListKeySets().value();
  for (const KeySetInfo& info : all) listed.push_back(info.name);
  EXPECT_EQ(listed, names);

  // The test asks for each page itself, and deletes a listed set after the first page.
  listed.clear();
  v1::ListKeySetsRequest request;
  request.set_page_size(10);
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListKeySetsResponse response;
    ASSERT_TRUE(KeySets()->ListKeySets(&context, request, &response).ok());
    for (const v1::KeySet& key_set : response.key_sets()) listed.push_back(key_set.name());
    request.set_page_token(response.next_page_token());
    if (++pages == 1) {
      ASSERT_TRUE(client_->DeleteKeySet(listed.back()).ok());
    }
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, names);
  EXPECT_EQ(pages, 3);
}

// For each storage type, compares every output with the answer of the same request with inline
// keys.
TEST_F(KeySetServiceTest, EveryOutputAgreesWithInlineKeysInEveryStorageType) {
  Start();
  const Tensor q = Floats({2, 6, 3, 32}, 1);
  const Tensor keys = Floats({2, 3, 150, 32}, 2);
  const Tensor values = Floats({2, 3, 150, 9}, 3);
  for (const DataType storage : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    const std::string name = absl::StrCat("kept-in-", DataTypeName(storage));
    PutKeySetOptions options;
    options.values = values.View();
    options.storage = storage;
    options.chunk_bytes = 1000;  // cuts inside a row
    const absl::StatusOr<KeySetInfo> info = client_->PutKeySet(name, keys.View(), options);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->keys.data_type, storage);
    EXPECT_EQ(info->values->data_type, storage);
    const Tensor kept_keys = Rounded(keys, storage);
    const Tensor kept_values = Rounded(values, storage);
    for (int output = 1; output <= ssize(kOutputNames); ++output) {
      SCOPED_TRACE(absl::StrCat(name, " output ", output));
      ScoreOptions ask;
      ask.output = static_cast<Output>(output);
      ask.scale = 0.25F;
      ask.softcap = 3.0F;
      ask.is_causal = output % 2 == 0;
      ask.offset = 100;
      if (ask.output == Output::kTopK) ask.top_k = 11;
      ask.log_sum_exp = ask.output == Output::kWeights || ask.output == Output::kContext;
      const absl::StatusOr<ScoreResult> got = client_->Score(q.View(), KeySetReference{name}, ask);
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->receipt.key_set_version, info->version);
      if (ask.output == Output::kContext) ask.values = kept_values.View();
      const absl::StatusOr<ScoreResult> expected = client_->Score(q.View(), kept_keys.View(), ask);
      ASSERT_TRUE(expected.ok()) << expected.status();
      EXPECT_EQ(expected->receipt.key_set_version, 0);
      ExpectClose(got->result, expected->result, 2e-5F);
      EXPECT_EQ(Bytes(got->indices), Bytes(expected->indices));
      ASSERT_EQ(got->log_sum_exp.has_value(), ask.log_sum_exp);
      if (ask.log_sum_exp) ExpectClose(*got->log_sum_exp, *expected->log_sum_exp, 1e-4F);
    }
  }
}

TEST_F(KeySetServiceTest, ElementsOfAnyTypeAreConvertedToWhatTheSetIsKeptIn) {
  Start();
  const Tensor keys = Floats({70, 16}, 1);
  PutKeySetOptions options;
  options.storage = DataType::kBfloat16;
  const absl::StatusOr<KeySetInfo> put =
      client_->PutKeySet("mixed", Rounded(keys, DataType::kFloat16).View(), options);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->keys.data_type, DataType::kBfloat16);
  ASSERT_TRUE(client_->AppendKeySet("mixed", put->version, keys.View()).ok());

  Tensor twice = EmptyTensor(DataType::kFloat32, {140, 16});
  const std::vector<float> first = ToFloats(Rounded(keys, DataType::kFloat16).View());
  std::memcpy(twice.data.data(), first.data(), first.size() * 4);
  std::memcpy(twice.data.data() + first.size() * 4, keys.data.data(), first.size() * 4);
  ASSERT_TRUE(client_->PutKeySet("whole", Rounded(twice, DataType::kBfloat16).View()).ok());
  EXPECT_EQ(ScoresOf("mixed", 16), ScoresOf("whole", 16));
}

TEST_F(KeySetServiceTest, ARequestMayInsistOnAVersion) {
  Start();
  const int64_t first = Put("items", {3, 4}, 1).version;
  const int64_t second = Put("items", {5, 4}, 2).version;
  const Tensor q = Floats({1, 4}, 3);
  const absl::StatusOr<ScoreResult> newest =
      client_->Score(q.View(), KeySetReference{"items", second});
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->receipt.key_set_version, second);
  for (const int64_t other : {first, second + 1, int64_t{0}, int64_t{-1}}) {
    EXPECT_THAT(client_->Score(q.View(), KeySetReference{"items", other}).status(),
                FailsWith(kFailedPrecondition, absl::StrCat("key_set.version: got ", other)));
  }
}

TEST_F(KeySetServiceTest, APutReplacesShapeTypeAndValues) {
  Start();
  Put("items", {3, 4}, 1, 2);
  PutKeySetOptions options;
  options.storage = DataType::kFloat16;
  ASSERT_TRUE(client_->PutKeySet("items", Floats({2, 5, 6}, 2).View(), options).ok());
  const KeySetInfo info = client_->GetKeySet("items").value();
  EXPECT_EQ(info.keys.shape, Shape({2, 5, 6}));
  EXPECT_EQ(info.keys.data_type, DataType::kFloat16);
  EXPECT_FALSE(info.values.has_value());
}

TEST_F(KeySetServiceTest, VersionNumbersNeverComeAgain) {
  const TemporaryDirectory directory("key_set_service_test");
  for (const bool has_files : {false, true}) {
    options_.key_set_dir = has_files ? directory.Path("sets") : "";
    std::set<int64_t> seen;
    for (int start = 0; start < 3; ++start) {
      Start();
      for (int i = 0; i < 3; ++i) {
        const int64_t put = Put("items", {2, 3}, 1).version;
        EXPECT_TRUE(seen.empty() || put > *seen.rbegin());
        EXPECT_TRUE(seen.insert(put).second);
        const auto appended = client_->AppendKeySet("items", put, Floats({1, 3}, 2).View());
        ASSERT_TRUE(appended.ok()) << appended.status();
        EXPECT_GT(appended->version, *seen.rbegin());
        EXPECT_TRUE(seen.insert(appended->version).second);
        ASSERT_TRUE(client_->DeleteKeySet("items").ok());
      }
    }
  }
}

TEST_F(KeySetServiceTest, AnAppendThatIsSentAgainIsNotAppendedTwice) {
  Start();
  const int64_t version = Put("items", {10, 4}, 1).version;
  const Tensor more = Floats({5, 4}, 2);
  const absl::StatusOr<KeySetInfo> first = client_->AppendKeySet("items", version, more.View());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(client_->AppendKeySet("items", version, more.View()).status(),
              FailsWith(kFailedPrecondition, absl::StrCat("is at version ", first->version,
                                                          ", expected_version was ", version)));
  EXPECT_EQ(client_->GetKeySet("items")->keys.shape, Shape({15, 4}));
}

TEST_F(KeySetServiceTest, CountsTheRequestsServedOverVersionsUntilTheSetIsDeleted) {
  Start();
  const int64_t version = Put("items", {10, 4}, 1).version;
  for (int i = 0; i < 3; ++i) ScoresOf("items", 4);
  EXPECT_EQ(client_->GetKeySet("items")->requests_served, 3);
  ASSERT_TRUE(client_->AppendKeySet("items", version, Floats({5, 4}, 2).View()).ok());
  ScoresOf("items", 4);
  Put("items", {10, 4}, 1);
  ScoresOf("items", 4);
  EXPECT_EQ(client_->GetKeySet("items")->requests_served, 5);
  ASSERT_TRUE(client_->DeleteKeySet("items").ok());
  EXPECT_EQ(Put("items", {10, 4}, 1).requests_served, 0);
}

TEST_F(KeySetServiceTest, SetsWithoutKeysGrowFromNothing) {
  Start();
  const int64_t version = Put("items", {2, 0, 4}, 1, 3).version;
  EXPECT_EQ(client_->Score(Floats({2, 1, 4}, 2).View(), KeySetReference{"items"})->result.shape,
            Shape({2, 1, 0}));
  AppendKeySetOptions options;
  const Tensor values = Floats({2, 5, 3}, 3);
  options.values = values.View();
  const Tensor keys = Floats({2, 5, 4}, 4);
  ASSERT_TRUE(client_->AppendKeySet("items", version, keys.View(), options).ok());
  PutKeySetOptions put;
  put.values = values.View();
  ASSERT_TRUE(client_->PutKeySet("whole", keys.View(), put).ok());
  ScoreOptions context;
  context.output = Output::kContext;
  const Tensor q = Floats({2, 3, 4}, 5);
  const auto grown = client_->Score(q.View(), KeySetReference{"items"}, context);
  const auto whole = client_->Score(q.View(), KeySetReference{"whole"}, context);
  ASSERT_TRUE(grown.ok() && whole.ok()) << grown.status() << whole.status();
  EXPECT_EQ(Bytes(grown->result), Bytes(whole->result));
}

TEST_F(KeySetServiceTest, KeySetsAreThereAgainAfterARestart) {
  const TemporaryDirectory directory("key_set_service_test");
  options_.key_set_dir = directory.Path("sets");
  Start();
  const int64_t put = Put("items", {200, 8}, 1).version;
  ASSERT_TRUE(client_->AppendKeySet("items", put, Floats({9, 8}, 2).View()).ok());
  const KeySetInfo before = client_->GetKeySet("items").value();
  const std::string scores = ScoresOf("items", 8);
  Start();
  const KeySetInfo after = client_->GetKeySet("items").value();
  EXPECT_EQ(after.version, before.version);
  EXPECT_EQ(after.keys.shape, before.keys.shape);
  EXPECT_EQ(ScoresOf("items", 8), scores);
  EXPECT_TRUE(client_->AppendKeySet("items", before.version, Floats({1, 8}, 3).View()).ok());
}

}  // namespace
}  // namespace qkserve
