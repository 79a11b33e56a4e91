#include "core/key_sets/storage/synced_sets.h"

#include <string>

#include "gtest/gtest.h"

namespace qkserve {
namespace {

Manifest MakeManifest(const std::string& name, int64_t version) {
  Manifest manifest;
  manifest.name = name;
  manifest.version = version;
  manifest.base_version = version;
  manifest.layout.d = 3;
  return manifest;
}

TEST(SyncedSetsTest, KnowsManifestsAndNoOthers) {
  SyncedSets sets;
  EXPECT_FALSE(sets.Has(MakeManifest("a", 1)));
  sets.Add(MakeManifest("a", 1));
  sets.Add(MakeManifest("b", 2));
  EXPECT_EQ(SyncedSets::Parse(sets.Format()), sets);
  EXPECT_TRUE(sets.Has(MakeManifest("a", 1)));
  EXPECT_FALSE(sets.Has(MakeManifest("a", 2)));
  EXPECT_FALSE(sets.Has(MakeManifest("c", 1)));
  // A merge changes the manifest and keeps the version.
  Manifest merged = MakeManifest("a", 1);
  merged.segments.push_back({.file = "segment-1-0-1.safetensors", .keys = 1, .bytes = 80});
  EXPECT_FALSE(sets.Has(merged));
}

TEST(SyncedSetsTest, NoSetsAreWrittenAndReadToo) {
  EXPECT_EQ(SyncedSets::Parse(SyncedSets().Format()), SyncedSets());
}

TEST(SyncedSetsTest, DamageLeavesNone) {
  SyncedSets sets;
  sets.Add(MakeManifest("a", 1));
  sets.Add(MakeManifest("b", 2));
  const std::string text = sets.Format();
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] ^= 1;
    EXPECT_EQ(SyncedSets::Parse(damaged), SyncedSets()) << i;
    EXPECT_EQ(SyncedSets::Parse(text.substr(0, i)), SyncedSets()) << i;
  }
  EXPECT_EQ(SyncedSets::Parse(text + "\n"), SyncedSets());
}

}  // namespace
}  // namespace qkserve
