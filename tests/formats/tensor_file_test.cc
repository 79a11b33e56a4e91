#include "formats/tensor_file.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/float16.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

std::string LittleEndian64(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string BytesOf(const std::vector<float>& elements) {
  return {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(float)};
}

std::string ElementBytes(const TensorFile& file) {
  const absl::StatusOr<Tensor> tensor = ReadTensor(file);
  if (!tensor.ok()) return tensor.status().ToString();
  return {reinterpret_cast<const char*>(tensor->data.data()), tensor->data.size_bytes()};
}

// The numbers 1 and 2 in bfloat16.
constexpr absl::string_view kOneTwo("\x80\x3f\x00\x40", 4);

class TensorFileTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  // Writes a file with `header` and `data`. Returns its path.
  std::string Write(absl::string_view header, absl::string_view data) const {
    return WriteRaw(absl::StrCat(LittleEndian64(header.size()), header, data));
  }
  std::string WriteRaw(absl::string_view bytes) const {
    // The old file is removed first, because file systems write a file to disk when its contents
    // are replaced in place. This would be slow for thousands of files.
    std::filesystem::remove(Path("f.safetensors"));
    std::ofstream(Path("f.safetensors"), std::ios::binary) << bytes;
    return Path("f.safetensors");
  }

  void ExpectRefused(const std::string& path, absl::string_view message,
                     absl::StatusCode code = absl::StatusCode::kInvalidArgument) const {
    const absl::Status status = OpenTensorFile(path, "keys").status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "f.safetensors: ")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
  }

  const TemporaryDirectory directory_{"tensor_file_test"};
};

constexpr absl::string_view kTwoTensors =
    R"({"__metadata__":{"format":"pt"},)"
    R"("keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
    R"("values":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]}}   )";

TEST_F(TensorFileTest, FindsTensorsByUsualAndByGivenName) {
  const std::string path = Write(kTwoTensors, absl::StrCat(BytesOf({1, 2}), kOneTwo));
  const auto keys = OpenTensorFile(path, "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->data_type, DataType::kFloat32);
  EXPECT_EQ(keys->shape, (Shape{1, 2}));
  EXPECT_EQ(ElementBytes(*keys), BytesOf({1, 2}));

  for (const auto& values :
       {OpenTensorFile(path, "values"), OpenTensorFile(absl::StrCat(path, ":values"), "keys")}) {
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ(values->data_type, DataType::kBfloat16);
    EXPECT_EQ(ElementBytes(*values), kOneTwo);
  }
  const absl::Status status = OpenTensorFile(path, "queries").status();
  EXPECT_EQ(status, absl::NotFoundError(absl::StrCat(
                        path,
                        ": no tensor 'queries'; there are: 'keys', 'values'. Name one as "
                        "FILE:TENSOR")));
  EXPECT_EQ(OpenTensorFile(absl::StrCat(path, ":other"), "keys").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(TensorFileTest, TakesTheOnlyTensorWhateverItsName) {
  const std::string path =
      Write(R"({"embedding.weight":{"dtype":"F16","shape":[2,0],"data_offsets":[0,0]}})", "");
  const auto keys = OpenTensorFile(path, "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->shape, (Shape{2, 0}));
  EXPECT_TRUE(ReadTensor(*keys).ok());
}

TEST_F(TensorFileTest, RefusesWhatIsNotWhole) {
  const std::string header = R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  ExpectRefused(Write(header, "1234567"), "");
  ExpectRefused(Write(header, "123456789"), "");
  ExpectRefused(WriteRaw(""), "is too short for a .safetensors file");
  ExpectRefused(WriteRaw("1234567"), "is too short for a .safetensors file");
  ExpectRefused(WriteRaw(LittleEndian64(1)), "header");
  ExpectRefused(WriteRaw(LittleEndian64(UINT64_MAX)), "header");
  ExpectRefused(WriteRaw(LittleEndian64(uint64_t{1} << 63)), "header");
}

TEST_F(TensorFileTest, RefusesHeadersThatMakeNoSense) {
  for (const char* header :
       {"",
        "x",
        "[]",
        "{",
        "{}{}",
        R"({"keys":1})",
        R"({"keys":{}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0,7]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[8,0]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[-8,0]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8,8]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]}})",
        R"({"keys":{"dtype":"F32","shape":[1,2],"data_offsets":[0.0,8.0]}})",
        R"({"keys":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}})",
        R"({"keys":{"dtype":"F32","shape":["1",2],"data_offsets":[0,8]}})",
        R"({"keys":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})",
        R"({"keys":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})",
        R"({"keys":{"dtype":4,"shape":[1,2],"data_offsets":[0,8]}})",
        R"({"keys":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
        R"({"keys":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})"}) {
    ExpectRefused(Write(header, "12345678"), "");
  }
  ExpectRefused(Write(std::string(100'000, '['), "12345678"), "");
  ExpectRefused(Write("{}", ""), "no tensor 'keys'; there are: none", absl::StatusCode::kNotFound);
}

TEST_F(TensorFileTest, NamesFilesThatCannotBeRead) {
  ExpectRefused(Path("f.safetensors"), "", absl::StatusCode::kNotFound);
  std::filesystem::create_directory(Path("f.safetensors"));
  ExpectRefused(Path("f.safetensors"), "is a directory, expected a .safetensors file");
}

TEST_F(TensorFileTest, SurvivesMutatedFiles) {
  const std::string whole =
      absl::StrCat(LittleEndian64(kTwoTensors.size()), kTwoTensors, std::string(12, '\x3f'));
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = whole;
    for (int changes = 1 + random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const auto file = OpenTensorFile(WriteRaw(bytes), "keys");
    if (!file.ok()) continue;
    ++accepted;
    const auto tensor = ReadTensor(*file);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace qkserve
