#include "tests/fuzz/fuzz_target.h"

#include <cstdio>
#include <cstdlib>

namespace qkserve {

absl::Span<const FuzzTarget> FuzzTargets() {
  static constexpr FuzzTarget kTargets[] = {
      {"access", FuzzAccess, AccessSeeds},
      {"attention", FuzzAttention, AttentionSeeds},
      {"key_set_files", FuzzKeySetFiles, KeySetFilesSeeds},
      {"manifest", FuzzManifest, ManifestSeeds},
      {"npy", FuzzNpy, NpySeeds},
      {"pem", FuzzPem, PemSeeds},
      {"safetensors", FuzzSafetensors, SafetensorsSeeds},
      {"score", FuzzScore, ScoreSeeds},
      {"text", FuzzText, TextSeeds},
      {"upload", FuzzUpload, UploadSeeds},
      {"wire", FuzzWire, WireSeeds},
  };
  return kTargets;
}

void Require(bool holds, absl::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace qkserve
