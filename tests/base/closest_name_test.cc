#include "base/closest_name.h"

#include "gtest/gtest.h"

namespace qkserve {
namespace {

std::string Closest(absl::string_view typed) {
  return ClosestName(typed, {"workers", "kernel", "key_set_dir", "key_set_memory", "check"});
}

TEST(ClosestNameTest, FindsWhatWasMeant) {
  EXPECT_EQ(Closest("wrokers"), "workers");
  EXPECT_EQ(Closest("worker"), "workers");
  EXPECT_EQ(Closest("wokrer"), "workers");
  EXPECT_EQ(Closest("kernal"), "kernel");
  EXPECT_EQ(Closest("key-set-dir"), "key_set_dir");
  EXPECT_EQ(Closest("keyset_memory"), "key_set_memory");
}

TEST(ClosestNameTest, GuessesNothingFromAfar) {
  for (const char* typed : {"", "x", "port", "threads", "key_set", "a_name_of_another_program"}) {
    EXPECT_EQ(Closest(typed), "") << typed;
  }
  EXPECT_EQ(Closest(std::string(100'000, 'w')), "");
  EXPECT_EQ(ClosestName("workers", {}), "");
}

}  // namespace
}  // namespace qkserve
