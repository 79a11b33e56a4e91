#include "core/key_sets/key_set_table.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/byte_budget.h"
#include "base/limit_error.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {
namespace {

class KeySetTableTest : public testing::Test {
 protected:
  std::shared_ptr<const KeySet> Set(int64_t version) {
    return KeySetBuilder::Create({.leading = {}, .d = 1}, 0, nullptr, &budget_)
        .value()
        ->Finish("set", version);
  }

  ByteBudget budget_{"key_set_memory", kGiB};
  KeySetTable table_;
};

TEST_F(KeySetTableTest, ServesTheVersionThatWasPublishedLast) {
  EXPECT_TRUE(absl::IsNotFound(table_.Find("a").status()));
  table_.Publish("a", Set(1));
  table_.Publish("a", Set(2));
  EXPECT_EQ((*table_.Find("a"))->version(), 2);
  EXPECT_EQ(table_.count(), 1);
  table_.Unpublish("a");
  table_.Unpublish("a");
  EXPECT_TRUE(absl::IsNotFound(table_.Get("a").status()));
  EXPECT_EQ(table_.count(), 0);
}

// The set may appear between any two lookups.
TEST_F(KeySetTableTest, GetFindsASetWholeOrNotAtAllWhileOthersPublishIt) {
  const std::shared_ptr<const KeySet> set = Set(1);
  std::atomic<bool> is_over{false};
  std::thread publisher([&] {
    while (!is_over) {
      table_.Publish("a", set);
      table_.Unpublish("a");
    }
  });
  for (int i = 0; i < 20000; ++i) {
    const absl::StatusOr<KeySetTable::Listed> listed = table_.Get("a");
    ASSERT_TRUE(listed.ok() || absl::IsNotFound(listed.status()));
  }
  is_over = true;
  publisher.join();
}

TEST_F(KeySetTableTest, TheErrorOfASetThatIsNotServedNamesIt) {
  table_.Publish("a", LimitError("key_set_memory", "9 bytes are needed, more than 8"));
  const absl::Status status = table_.Find("a").status();
  EXPECT_EQ(status.message(), "key set a is not served: 9 bytes are needed, more than 8");
  EXPECT_EQ(LimitOf(status), "key_set_memory");
  EXPECT_EQ(table_.Get("a")->key_set.status(), status);
  EXPECT_EQ(table_.Get("a")->problem, "RESOURCE_EXHAUSTED: 9 bytes are needed, more than 8");
}

TEST_F(KeySetTableTest, CountsEachSetWithAnErrorOrAProblemOnce) {
  table_.Publish("a", absl::DataLossError("damaged"));
  table_.Publish("b", Set(1));
  table_.SetProblem("b", "is behind");
  table_.SetProblem("b", "is further behind");
  table_.SetProblem("a", "is not followed");
  table_.SetProblem("c", "is not there");
  EXPECT_EQ(table_.problem_count(), 2);
  EXPECT_EQ(table_.Get("a")->problem, "DATA_LOSS: damaged");
  EXPECT_EQ(table_.Get("b")->problem, "is further behind");
  EXPECT_EQ(table_.Versions(), (std::map<std::string, int64_t>{{"a", 0}, {"b", 1}}));
  table_.Publish("a", Set(3));
  EXPECT_EQ(table_.problem_count(), 1);
  table_.SetProblem("b", "");
  EXPECT_EQ(table_.problem_count(), 0);
  table_.Publish("b", absl::DataLossError("damaged"));
  table_.Unpublish("b");
  EXPECT_EQ(table_.problem_count(), 0);
}

TEST_F(KeySetTableTest, CountsSetsOfWhichNoVersionIsServed) {
  table_.Publish("a", absl::DataLossError("damaged"));
  table_.Publish("a", absl::DataLossError("still damaged"));
  table_.Publish("b", Set(1));
  table_.SetProblem("b", "is behind");
  table_.Unpublish("c");
  EXPECT_EQ(table_.unserved_count(), 1);
  table_.Publish("b", absl::DataLossError("damaged"));
  EXPECT_EQ(table_.unserved_count(), 2);
  table_.Publish("a", Set(3));
  EXPECT_EQ(table_.unserved_count(), 1);
  table_.Unpublish("b");
  table_.Unpublish("a");
  EXPECT_EQ(table_.unserved_count(), 0);
}

TEST_F(KeySetTableTest, ListsPagesInOrderOfNames) {
  for (const char* const name : {"c", "a", "b"}) table_.Publish(name, Set(1));
  ASSERT_EQ(table_.List("", 2).size(), 2U);
  EXPECT_EQ(table_.List("", 2)[1].name, "b");
  ASSERT_EQ(table_.List("b", 2).size(), 1U);
  EXPECT_EQ(table_.List("b", 2)[0].name, "c");
  EXPECT_TRUE(table_.List("c", 2).empty());
}

}  // namespace
}  // namespace qkserve
