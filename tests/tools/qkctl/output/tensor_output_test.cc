#include "tools/qkctl/output/tensor_output.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/float16.h"
#include "formats/npy.h"
#include "formats/tensor_file.h"
#include "gtest/gtest.h"
#include "tests/support/read_npy.h"
#include "tests/support/temporary_directory.h"
#include "tools/qkctl/input/upload.h"

namespace qkserve {
namespace {

TensorView View(const std::vector<float>& elements, Shape shape) {
  return {DataType::kFloat32, std::move(shape),
          reinterpret_cast<const std::byte*>(elements.data())};
}

class TensorOutputTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  const TemporaryDirectory directory_{"tensor_output_test"};
};

TEST_F(TensorOutputTest, WritesNpyThatCanBeRead) {
  const std::vector<float> values = {0, -1.5F, 3e38F, 1e-40F, 5, 6};
  for (const Shape& shape : {Shape{6}, Shape{2, 3}, Shape{1, 2, 1, 3}}) {
    const TensorView view{DataType::kFloat32, shape,
                          reinterpret_cast<const std::byte*>(values.data())};
    ASSERT_TRUE(WriteTensorFile(Path("out.npy"), "t", view).ok());
    absl::StatusOr<Tensor> tensor = ReadNpy(Path("out.npy"));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape, shape);
    EXPECT_EQ(ElementsAsFloat(tensor->View()), values);
  }
}

TEST_F(TensorOutputTest, WritesIndicesAndBooleans) {
  const std::vector<int32_t> indices = {3, -1};
  ASSERT_TRUE(
      WriteTensorFile(Path("i.npy"), "t",
                      {DataType::kInt32, {2}, reinterpret_cast<const std::byte*>(indices.data())})
          .ok());
  EXPECT_EQ(ReadNpyInt64(Path("i.npy")).value(), (std::vector<int64_t>{3, -1}));

  const std::byte booleans[] = {std::byte{0}, std::byte{1}};
  ASSERT_TRUE(WriteTensorFile(Path("b.npy"), "t", {DataType::kBool, {2, 1}, booleans}).ok());
  absl::StatusOr<Tensor> tensor = ReadNpy(Path("b.npy"));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data_type, DataType::kBool);
  EXPECT_EQ(tensor->data.data()[1], std::byte{1});
}

TEST_F(TensorOutputTest, ReplacesFilesWhole) {
  const std::vector<float> values = {1, 2};
  const TensorView view{DataType::kFloat32, {2}, reinterpret_cast<const std::byte*>(values.data())};
  const std::string target = Path("target.npy");
  std::ofstream(target) << "the old content, longer than the new one" << std::string(1000, '.');
  std::filesystem::create_symlink(target, Path("link.npy"));

  ASSERT_TRUE(WriteTensorFile(Path("link.npy"), "t", view).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link.npy")));
  EXPECT_TRUE(ReadNpy(target).ok());
  // Nothing else is left behind.
  const std::filesystem::directory_iterator entries(directory_.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 2);
}

TEST_F(TensorOutputTest, WritesInPlaceToWhatIsNotARegularFile) {
  const TensorView empty{DataType::kFloat32, {0}, nullptr};
  EXPECT_TRUE(WriteTensorFile("/dev/null", "t", empty).ok());
  EXPECT_FALSE(std::filesystem::is_regular_file("/dev/null"));
}

TEST_F(TensorOutputTest, NamesFilesThatCannotBeWritten) {
  const TensorView empty{DataType::kFloat32, {0}, nullptr};
  for (const std::string& path :
       {Path("absent/out.npy"), directory_.path(), std::string("/dev/full")}) {
    const absl::Status status = WriteTensorFile(path, "t", empty);
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(TensorOutputTest, RefusesToWriteBfloat16) {
  const absl::Status status =
      WriteTensorFile(Path("out.npy"), "t", {DataType::kBfloat16, {0}, nullptr});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "BFLOAT16")) << status;
}

// Another program may shorten a file while it is uploaded.
TEST_F(TensorOutputTest, AFileThatShrinksWhileItIsReadIsAnError) {
  const std::vector<float> elements(1000);
  for (const char* name : {"f.safetensors", "f.npy"}) {
    ASSERT_TRUE(WriteTensorFile(Path(name), "keys", View(elements, {500, 2})).ok());
    const auto file = OpenTensorFile(Path(name), "keys");
    ASSERT_TRUE(file.ok()) << file.status();
    const TensorSource source = SourceOf(*file);
    std::string piece(1000, '\0');
    EXPECT_TRUE(source.read(3000, absl::MakeSpan(piece)).ok());
    std::filesystem::resize_file(Path(name), 3500);
    const absl::Status status = source.read(3000, absl::MakeSpan(piece));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(status.message(), "became shorter")) << status;
    EXPECT_EQ(ReadTensor(*file).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(TensorOutputTest, WritesSafetensorsThatCanBeRead) {
  const std::vector<float> elements = {1, 2, 3, 4, 5, 6};
  TensorView tensor = View(elements, {2, 3});
  for (const DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
    tensor.data_type = type;  // the same bytes; a 16-bit type uses the first half
    ASSERT_TRUE(WriteTensorFile(Path("f.safetensors"), "result", tensor).ok());
    const auto file = OpenTensorFile(absl::StrCat(Path("f.safetensors"), ":result"), "");
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->data_type, type);
    EXPECT_EQ(file->shape, (Shape{2, 3}));
    const auto read = ReadTensor(*file);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(ElementsAsFloat(read->View()), ElementsAsFloat(tensor));
  }
  tensor.data_type = DataType::kInt32;
  EXPECT_EQ(WriteTensorFile(Path("f.safetensors"), "result", tensor).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace qkserve
