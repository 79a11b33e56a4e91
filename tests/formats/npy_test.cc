#include "formats/npy.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "formats/npy_header.h"
#include "formats/tensor_file.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/read_npy.h"
#include "tests/support/temporary_directory.h"

namespace qkserve {
namespace {

constexpr absl::string_view kTwoByThree =
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

std::string LittleEndian(size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return text;
}

std::string FileBytes(absl::string_view dictionary, absl::string_view data, int version = 1) {
  return absl::StrCat(kNpyMagic, LittleEndian(version, 1), LittleEndian(0, 1),
                      LittleEndian(dictionary.size(), version == 1 ? 2 : 4), dictionary, data);
}

std::string Floats(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

std::vector<float> FloatsOf(const Tensor& tensor) {
  std::vector<float> values(tensor.data.size_bytes() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size_bytes());
  return values;
}

class NpyTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return directory_.Path(name); }

  std::string Write(absl::string_view bytes) const {
    std::string path = Path("input.npy");
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), bytes.size());
    return path;
  }

  absl::StatusOr<Tensor> ReadBytes(absl::string_view bytes) const { return ReadNpy(Write(bytes)); }

  // Expects that the bytes are refused with a message that names the file and has `expected`.
  void ExpectRefused(absl::string_view bytes, absl::string_view expected) const {
    const absl::Status status = ReadBytes(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "input.npy: ")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), expected)) << status;
  }

  const TemporaryDirectory directory_{"npy_test"};
};

TEST_F(NpyTest, ReadsEveryFormatVersion) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  for (const int version : {1, 2, 3}) {
    absl::StatusOr<Tensor> tensor = ReadBytes(FileBytes(kTwoByThree, Floats(values), version));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape, (Shape{2, 3}));
    EXPECT_EQ(tensor->data_type, DataType::kFloat32);
    EXPECT_EQ(FloatsOf(*tensor), values);
  }
}

TEST_F(NpyTest, ReadsHeadersHoweverTheyAreLaidOut) {
  const std::string data = Floats({1, 2, 3, 4, 5, 6});
  for (const absl::string_view dictionary : {
           "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}",
           "  {\n\t\"fortran_order\" : False ,\"descr\" : \"=f4\", \"shape\" : ( 2 , 3 , ) , }  \n",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}\n",
           "{u'descr': u'<f4', u\"fortran_order\": False, 'shape': (2, 3)}\n",
       }) {
    absl::StatusOr<Tensor> tensor = ReadBytes(FileBytes(dictionary, data));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape, (Shape{2, 3}));
  }
}

TEST_F(NpyTest, ReadsAnyRank) {
  const auto read = [this](absl::string_view shape, size_t elements) {
    return ReadBytes(
        FileBytes(absl::StrCat("{'descr': '<f2', 'fortran_order': False, 'shape': ", shape, "}"),
                  std::string(2 * elements, '\0')));
  };
  EXPECT_EQ(read("()", 1)->shape, Shape());
  EXPECT_EQ(read("(3,)", 3)->shape, Shape{3});
  EXPECT_EQ(read("(2, 1, 3, 1, 2)", 12)->shape, (Shape{2, 1, 3, 1, 2}));
  EXPECT_EQ(read("(4, 0)", 0)->shape, (Shape{4, 0}));
  EXPECT_EQ(read("(2,)", 2)->data_type, DataType::kFloat16);
}

TEST_F(NpyTest, ReadsBooleans) {
  absl::StatusOr<Tensor> tensor = ReadBytes(FileBytes(
      "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3)}", absl::string_view("\1\0\1", 3)));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data_type, DataType::kBool);
  EXPECT_EQ(tensor->shape, (Shape{1, 3}));
  EXPECT_EQ(tensor->data.data()[0], std::byte{1});
  EXPECT_EQ(tensor->data.data()[1], std::byte{0});
}

TEST_F(NpyTest, ReadsWholeNumbers) {
  const auto read = [this](absl::string_view descr, absl::string_view shape,
                           absl::string_view data) {
    return ReadNpyInt64(Write(FileBytes(
        absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape, "}"),
        data)));
  };
  const std::string wide = absl::StrCat(LittleEndian(5'000'000'000, 8), std::string(8, '\xff'));
  EXPECT_EQ(read("<i8", "(2,)", wide).value(), (std::vector<int64_t>{5'000'000'000, -1}));
  EXPECT_EQ(read("<i4", "(2,)", absl::StrCat(LittleEndian(7, 4), std::string(4, '\xff'))).value(),
            (std::vector<int64_t>{7, -1}));
  EXPECT_EQ(read("=i8", "()", LittleEndian(3, 8)).value(), (std::vector<int64_t>{3}));
  EXPECT_EQ(read(">i8", "(1,)", absl::string_view("\0\0\0\0\0\0\1\2", 8)).value(),
            (std::vector<int64_t>{258}));
  EXPECT_EQ(read(">i4", "(1,)", "\xff\xff\xff\xfe").value(), (std::vector<int64_t>{-2}));
  EXPECT_EQ(read("<i8", "(0,)", "").value(), std::vector<int64_t>());

  const auto expect_refused = [&](absl::string_view descr, absl::string_view shape,
                                  absl::string_view data, absl::string_view expected) {
    const absl::Status status = read(descr, shape, data).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "input.npy: ")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), expected)) << status;
  };
  expect_refused("<i8", "(1, 2)", wide, "the shape is [1, 2], expected one dimension or none");
  expect_refused("<f4", "(1,)", "1234", "expected int64 '<i8' or int32 '<i4'");
  expect_refused("<f4", "(1,)", "1234", "array.astype('<i8')");
  expect_refused("<i8", "(3,)", wide, "16 bytes of elements, expected 24 for INT64 [3]");
}

TEST_F(NpyTest, RefusesElementsThatItCannotUse) {
  const auto with_descr = [](absl::string_view descr) {
    return FileBytes(absl::StrCat("{'descr': ", descr, ", 'fortran_order': False, 'shape': (1,)}"),
                     "1234");
  };
  ExpectRefused(with_descr("'>f8'"), "'>f8'");
  ExpectRefused(with_descr("'=float32'"), "'=float32'");
  ExpectRefused(with_descr("'<<f4'"), "'<<f4'");
  ExpectRefused(with_descr("'<'"), "'<'");
  ExpectRefused(with_descr("''"), "''");
  ExpectRefused(with_descr("'<f8'"), "array.astype('<f4')");
  ExpectRefused(with_descr("'<f8'"), "float32 '<f4', float16 '<f2' or bool '|b1'");
  ExpectRefused(with_descr("'<i8'"), "'<i8'");
  ExpectRefused(with_descr("'<i8'"), "array.astype('<f4')");
  ExpectRefused(with_descr("'|O'"), "'|O'");
  ExpectRefused(with_descr("[('a', '<f4'), ('b', '<f4')]"), "structured");
  ExpectRefused(with_descr("'\x1b[2J'"), "\\x1b[2J");
}

// A mask of floats is added to the scores, so integers must not become floats.
TEST_F(NpyTest, AMaskOfIntegersIsToBecomeBool) {
  for (const auto& [descr, expected] :
       {std::pair("<i8",
                  "expected bool '|b1', float32 '<f4' or float16 '<f2'; convert with "
                  "array.astype(bool)"),
        {"|u1", "array.astype(bool)"},
        {"<f8", "array.astype('<f4')"},
        {"float64", "array.astype('<f4')"}}) {
    const std::string path = Write(FileBytes(
        absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (1,)}"), "1234"));
    const absl::Status status = OpenNpyMask(path).status();
    EXPECT_TRUE(absl::StrContains(status.message(), expected)) << status;
  }
}

// Types are read as numpy.dtype reads them.
TEST_F(NpyTest, ReadsElementTypesHoweverTheyAreWritten) {
  const auto read = [this](absl::string_view descr, absl::string_view data) {
    return ReadBytes(FileBytes(
        absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (1, 1)}"), data));
  };
  for (const char* descr : {"<f4", "=f4", "|f4", "f4", "f", "<f", "float32"}) {
    const auto tensor = read(descr, Floats({1.5}));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(FloatsOf(*tensor), std::vector<float>{1.5});
  }
  for (const char* descr : {"<f2", "=f2", "f2", "e", "float16"}) {
    EXPECT_EQ(read(descr, "12").value().data_type, DataType::kFloat16) << descr;
  }
  for (const char* descr : {"|b1", "b1", "?", "<b1", ">b1", "|?", "bool"}) {
    EXPECT_EQ(read(descr, "\1").value().data_type, DataType::kBool) << descr;
  }
  for (const char* descr : {">f4", ">f"}) {
    EXPECT_EQ(FloatsOf(read(descr, absl::string_view("\x3f\xc0\0\0", 4)).value()),
              std::vector<float>{1.5});
  }
}

TEST_F(NpyTest, OrderMeansNothingWhereOneDimensionHasElements) {
  for (const auto& [shape, elements] :
       std::initializer_list<std::pair<const char*, int>>{{"()", 1},
                                                          {"(3,)", 3},
                                                          {"(3, 1)", 3},
                                                          {"(1, 3)", 3},
                                                          {"(1, 3, 1)", 3},
                                                          {"(0, 4)", 0},
                                                          {"(4, 0, 2)", 0},
                                                          {"(1, 1)", 1}}) {
    const std::vector<float> values = {7, 8, 9};
    const std::string data = Floats(values).substr(0, 4 * elements);
    const auto tensor = ReadBytes(FileBytes(
        absl::StrCat("{'descr': '<f4', 'fortran_order': True, 'shape': ", shape, "}"), data));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(Floats(FloatsOf(*tensor)), data) << shape;
  }
}

// Elements of `shape` in Fortran order. Each element's value is its index in C order.
template <class Element>
std::string FortranBytes(const Shape& shape, bool is_big_endian) {
  const int64_t count = ElementCount(shape).value();
  std::string bytes(count * sizeof(Element), '\0');
  for (int64_t c = 0; c < count; ++c) {
    int64_t at = 0;
    int64_t stride = count;
    int64_t rest = c;
    for (size_t i = shape.size(); i-- > 0; rest /= shape[i]) {
      stride /= shape[i];
      at += rest % shape[i] * stride;
    }
    const auto element = static_cast<Element>(c);
    std::memcpy(&bytes[at * sizeof(Element)], &element, sizeof(Element));
    if (!is_big_endian) continue;
    std::reverse(&bytes[at * sizeof(Element)], &bytes[at * sizeof(Element)] + sizeof(Element));
  }
  return bytes;
}

TEST_F(NpyTest, ReadsFortranOrderInPieces) {
  // Columns are short, or longer than a piece of the file. Some arrays have more rows than are read
  // at a time. Some have several matrices.
  for (const Shape& shape : std::vector<Shape>{{2, 3},
                                               {5, 4, 3},
                                               {2, 3, 4, 5},
                                               {2, 1, 3, 2, 2},
                                               {300, 2},
                                               {2, 300},
                                               {70000, 40},
                                               {3, 30000, 4},
                                               {2, 2, 40000, 3},
                                               {2, 100000}}) {
    for (const bool is_big_endian : {false, true}) {
      const std::string path = Write(FileBytes(
          absl::StrCat("{'descr': '", is_big_endian ? ">" : "<", "f4', 'fortran_order': True, ",
                       "'shape': (", absl::StrJoin(shape, ","), ")}"),
          FortranBytes<float>(shape, is_big_endian)));
      const auto file = OpenNpy(path);
      ASSERT_TRUE(file.ok()) << file.status();
      EXPECT_EQ(file->shape, shape);
      const int64_t bytes = 4 * ElementCount(shape).value();
      const ElementReader read = ReaderOf(*file);
      std::string got(bytes, '\0');
      // The cuts are inside elements, and do not match the pieces that are read at a time.
      const int64_t cut = bytes < 1000 ? 7 : 1'000'003;
      for (int64_t at = 0; at < bytes; at += cut) {
        const auto piece = absl::MakeSpan(got).subspan(at, cut);
        ASSERT_TRUE(read(at, piece).ok());
      }
      const auto whole = ReadTensor(*file);
      ASSERT_TRUE(whole.ok()) << whole.status();
      const std::vector<float> values = FloatsOf(*whole);
      ASSERT_EQ(Floats(values), got);
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], i) << ShapeString(shape);
    }
  }
}

// The bytes that this process has read so far, or -1 if the kernel does not count them.
int64_t BytesRead() {
  std::ifstream io("/proc/self/io");
  std::string name;
  int64_t bytes = -1;
  io >> name >> bytes;
  return name == "rchar:" ? bytes : -1;
}

TEST_F(NpyTest, ReadsFortranOrderAboutOnce) {
  if (BytesRead() < 0) GTEST_SKIP() << "no /proc/self/io";
  // A column is shorter than a piece. Its rows are read in eight blocks, in two, or in one.
  for (const int64_t rows : {20000, 5000, 2000}) {
    const std::string path = Write(FileBytes(
        absl::StrCat("{'descr': '<f4', 'fortran_order': True, 'shape': (", rows, ", 768)}"), ""));
    const int64_t bytes = rows * 768 * 4;
    // The elements are a hole in the file, so they need no disk space.
    std::filesystem::resize_file(path, std::filesystem::file_size(path) + bytes);
    const auto file = OpenNpy(path);
    ASSERT_TRUE(file.ok()) << file.status();
    const int64_t before = BytesRead();
    ASSERT_TRUE(ReadTensor(*file).ok());
    const int64_t read = BytesRead() - before;
    EXPECT_GE(read, bytes) << rows;
    EXPECT_LE(read, 2 * bytes + kMiB) << rows;
  }
}

TEST_F(NpyTest, ReadsFortranOrderOfEveryElementSize) {
  const auto read = [this](const char* descr, const std::string& data) {
    return ReadBytes(FileBytes(
        absl::StrCat("{'descr': '", descr, "', 'fortran_order': True, 'shape': (2, 3)}"), data));
  };
  const auto half = read(">f2", FortranBytes<uint16_t>({2, 3}, true));
  ASSERT_TRUE(half.ok()) << half.status();
  const auto mask = read("|b1", FortranBytes<uint8_t>({2, 3}, false));
  ASSERT_TRUE(mask.ok()) << mask.status();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(half->data.data()[2 * i], std::byte(i));
    EXPECT_EQ(mask->data.data()[i], std::byte(i));
  }
}

// Another program may change the file during the upload.
TEST_F(NpyTest, AFileInFortranOrderThatShrinksIsAnError) {
  const std::string path =
      Write(FileBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (200, 3)}",
                      FortranBytes<float>({200, 3}, false)));
  const auto file = OpenNpy(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::resize_file(path, 1000);
  EXPECT_EQ(ReadTensor(*file).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(NpyTest, RefusesWhatIsNotNpy) {
  ExpectRefused("", "begins with nothing");
  ExpectRefused("PK\x03\x04 an archive", "not an .npy file");
  ExpectRefused(kNpyMagic, "truncated before the version");
  ExpectRefused(FileBytes(kTwoByThree, "", 4), "format version 4");
  ExpectRefused(absl::StrCat(kNpyMagic, LittleEndian(1, 2), "x"), "truncated before the header");
  ExpectRefused(absl::StrCat(kNpyMagic, LittleEndian(1, 2), LittleEndian(500, 2), "{"),
                "does not fit in a file of 11");
  ExpectRefused(absl::StrCat(kNpyMagic, LittleEndian(2, 2), LittleEndian(0xffffffff, 4)),
                "a header of 4294967295 bytes");
}

TEST_F(NpyTest, RefusesMalformedHeaders) {
  for (const absl::string_view dictionary : {
           "",
           "{",
           "}",
           "{'descr'",
           "{'descr': }",
           "{'descr': '<f4'",
           "{'descr': '<f4' 'shape': (1,)}",
           "{'descr': '<f4', 'fortran_order': False}",
           "{'fortran_order': False, 'shape': (1,)}",
           "{'descr': '<f4', 'shape': (1,)}",
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} more",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}",
       }) {
    SCOPED_TRACE(dictionary);
    ExpectRefused(FileBytes(dictionary, "1234"), "header");
  }
}

TEST_F(NpyTest, RefusesSizesThatOverflow) {
  const auto with_shape = [](absl::string_view shape) {
    return FileBytes(absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': ", shape, "}"),
                     "");
  };
  ExpectRefused(with_shape("(99999999999999999999,)"), "does not fit in 64 bits");
  ExpectRefused(with_shape("(4294967296, 4294967296)"), "does not fit in 64 bits");
  // The number of elements fits in 64 bits, but the number of their bytes does not.
  ExpectRefused(with_shape("(4611686018427387904,)"), "does not fit in 64 bits");
  std::string many = "(";
  for (size_t i = 0; i <= kNpyRankMax; ++i) many += "1,";
  ExpectRefused(with_shape(many + ")"), "dimensions");
}

TEST_F(NpyTest, RefusesMoreOrLessDataThanTheShapeNeeds) {
  ExpectRefused(FileBytes(kTwoByThree, Floats({1, 2, 3, 4, 5})),
                "truncated: 20 bytes of elements, expected 24 for FLOAT32 [2, 3]");
  ExpectRefused(FileBytes(kTwoByThree, Floats({1, 2, 3, 4, 5, 6, 7})),
                "surplus data: 28 bytes of elements, expected 24");
  // A tiny file may claim a huge array. The array's size is compared with the file's size before
  // anything is allocated.
  ExpectRefused(
      FileBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", ""),
      "truncated: 0 bytes of elements, expected 4000000000000");
}

TEST_F(NpyTest, NamesFilesThatCannotBeRead) {
  absl::Status status = ReadNpy(Path("absent.npy")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "absent.npy")) << status;

  status = ReadNpy(directory_.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "is a directory")) << status;

  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  status = ReadNpy(Path("pipe")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "not a regular file")) << status;
}

TEST_F(NpyTest, AlignsTheElements) {
  Shape shape;
  for (int rank = 0; rank <= 40; ++rank, shape.push_back(rank % 2 == 0 ? 1 : 0)) {
    absl::StatusOr<std::string> header = FormatNpyHeader({NpyType::kFloat16, shape});
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->size() % 64, 0U);
    EXPECT_EQ(header->back(), '\n');
  }
}

// Every file is either read or refused. No file makes the reader crash.
TEST_F(NpyTest, SurvivesMutatedFiles) {
  std::mt19937 random(1);
  const std::string whole = FileBytes(kTwoByThree, Floats({1, 2, 3, 4, 5, 6}));
  constexpr absl::string_view kTelling = "{}()[],:'\"\\ 0123456789-L\xff\n";
  int accepted = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes = whole;
    for (uint32_t edits = random() % 4 + 1; edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      switch (random() % 5) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = kTelling[random() % kTelling.size()];
          break;
        case 2:
          bytes.erase(at, random() % 8 + 1);
          break;
        case 3:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 16));
          break;
        default:
          bytes.resize(at + 1);
      }
      if (bytes.empty()) bytes.push_back('x');
    }
    absl::StatusOr<Tensor> tensor = ReadBytes(bytes);
    if (!tensor.ok()) {
      ASSERT_EQ(tensor.status().code(), absl::StatusCode::kInvalidArgument) << tensor.status();
      continue;
    }
    ++accepted;
    ASSERT_LE(tensor->data.size_bytes(), bytes.size());
    ASSERT_EQ(static_cast<int64_t>(tensor->data.size_bytes()),
              ElementCount(tensor->shape).value() * ElementBytes(tensor->data_type));
  }
  // A file stays valid if an edit only changes elements. So the test sees valid and invalid files.
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace qkserve
