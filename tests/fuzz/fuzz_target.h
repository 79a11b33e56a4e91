#ifndef QKSERVE_TESTS_FUZZ_FUZZ_TARGET_H_
#define QKSERVE_TESTS_FUZZ_FUZZ_TARGET_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace qkserve {

// Inputs made from real messages and files, each with its name.
using FuzzSeeds = std::vector<std::pair<std::string, std::string>>;

// Code that reads untrusted input, and the checks that must hold for every input.
//
// To add a target, write its two functions in a new file, declare them below, and add a line to
// FuzzTargets. `./run fuzz TARGET` makes its seeds.
struct FuzzTarget {
  const char* name;  // also the folder of the target's inputs in tests/fuzz/corpus

  // Reads `input`. Returns if all checks hold. Otherwise Require or a sanitizer ends the process.
  // Called from one thread. State that is kept between calls must not change the behaviour of the
  // next call.
  void (*run)(absl::string_view input);

  FuzzSeeds (*seeds)();
};

// All targets, in the order of their names.
absl::Span<const FuzzTarget> FuzzTargets();

// Ends the process with `what` on stderr unless `holds`.
void Require(bool holds, absl::string_view what);

// Requests of all services, compressed or not, cut into slices. The results are compared with the
// generated parser.
void FuzzWire(absl::string_view input);
FuzzSeeds WireSeeds();
// Score requests, alone and several together. A real key set store and batcher answer them.
void FuzzScore(absl::string_view input);
FuzzSeeds ScoreSeeds();
// Shapes, masks, lengths and options. The results are compared with the definition in float64.
void FuzzAttention(absl::string_view input);
FuzzSeeds AttentionSeeds();
// The messages of an upload, and the key set that they make.
void FuzzUpload(absl::string_view input);
FuzzSeeds UploadSeeds();
// Token files, access files and quota files.
void FuzzAccess(absl::string_view input);
FuzzSeeds AccessSeeds();
// Files of a directory of key sets: manifests, segments, loose files.
void FuzzKeySetFiles(absl::string_view input);
FuzzSeeds KeySetFilesSeeds();
void FuzzManifest(absl::string_view input);
FuzzSeeds ManifestSeeds();
void FuzzNpy(absl::string_view input);
FuzzSeeds NpySeeds();
void FuzzSafetensors(absl::string_view input);
FuzzSeeds SafetensorsSeeds();
// Metadata, names and texts that come back in errors.
void FuzzText(absl::string_view input);
FuzzSeeds TextSeeds();
// Certificates and keys.
void FuzzPem(absl::string_view input);
FuzzSeeds PemSeeds();

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_FUZZ_TARGET_H_
