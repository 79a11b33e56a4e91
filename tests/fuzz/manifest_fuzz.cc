#include <string>

#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/synced_sets.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/manifest_text.h"

namespace qkserve {
namespace {

void CheckManifest(const std::string& name, absl::string_view text) {
  const absl::StatusOr<Manifest> manifest = ParseManifest(name, text);
  if (!manifest.ok()) return Require(absl::IsDataLoss(manifest.status()), "damage is DATA_LOSS");
  Require(FormatManifest(*manifest) == text, "a manifest is what was written");
  Require(manifest->version >= manifest->base_version && manifest->base_version > 0,
          "versions grow");
  Require(manifest->Keys() >= 0 && manifest->Keys() <= kKeySetKeysMax, "keys are counted");
  Require(manifest->layout.Validate(manifest->Keys()).ok(), "a set keeps the limits of sets");
  for (const SegmentInfo& segment : manifest->segments) {
    Require(ValidateKeySetName(segment.file).ok(), "a segment is beside its manifest");
    Require(segment.keys >= 0 && segment.bytes >= 0, "sizes are no less than 0");
  }
  SyncedSets synced;
  synced.Add(*manifest);
  Require(SyncedSets::Parse(synced.Format()) == synced, "what is synced is read as written");
}

Manifest Items() {
  return {.name = "items",
          .version = 12,
          .base_version = 9,
          .layout = {.leading = {2, 3}, .d = 64, .key_type = DataType::kBfloat16, .dv = 32},
          .segments = {{.file = "a.safetensors", .keys = 1000, .bytes = 5, .checksum = 77},
                       {.file = "b.safetensors", .keys = 0, .bytes = 7, .checksum = 1}}};
}

}  // namespace

void FuzzManifest(absl::string_view input) {
  CheckManifest("items", input);
  const SyncedSets synced = SyncedSets::Parse(input);
  Require(synced == SyncedSets() || synced.Format() == input, "what is synced is what was written");
  nlohmann::json object = ManifestObject(input);
  if (object.is_null()) return;
  const nlohmann::json& name = object["name"];
  CheckManifest(name.is_string() ? name.get<std::string>() : "items", ManifestText(object));
}

FuzzSeeds ManifestSeeds() {
  Manifest plain = Items();
  plain.layout = {.leading = {}, .d = 3};
  plain.segments.resize(1);
  SyncedSets synced;
  synced.Add(plain);
  synced.Add(Items());
  return {{"items", FormatManifest(Items())},
          {"plain", FormatManifest(plain)},
          {"synced", synced.Format()}};
}

}  // namespace qkserve
