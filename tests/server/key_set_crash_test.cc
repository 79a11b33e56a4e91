// The program is killed at random instants while clients put, append and delete. After each
// restart, every acknowledged change must be there completely. A change whose reply was lost must
// have happened completely or not at all.

#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "tests/server/key_set_writer.h"
#include "tests/support/process.h"

namespace qkserve {
namespace {

// The number of kills. QKSERVE_CRASH_ROUNDS=200 asks for more, which would be too slow for an
// ordinary run of the tests.
constexpr int kRounds = 15;

int Rounds() {
  const char* const rounds = std::getenv("QKSERVE_CRASH_ROUNDS");
  return rounds != nullptr ? std::atoi(rounds) : kRounds;
}

int64_t Pick(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

using Kind = KeySetWriter::Kind;

class KeySetCrashTest : public testing::Test {
 protected:
  // A running server and its client.
  struct Running {
    std::unique_ptr<Process> process;
    std::unique_ptr<Client> client;
  };

  std::unique_ptr<Process> Spawn(const std::string& name, std::vector<std::string> args) const {
    std::filesystem::remove(directory_.Path(name + ".port"));
    args.insert(args.begin(),
                {QKSERVE_PROGRAM, "--listen_address=127.0.0.1:0", "--http_address=", "--workers=2",
                 absl::StrCat("--port_file=", directory_.Path(name + ".port"))});
    return std::make_unique<Process>(std::move(args), directory_.Path(name + ".out"),
                                     directory_.Path(name + ".err"));
  }
  Running Start(const std::string& name, const std::vector<std::string>& args) const {
    Running running = {Spawn(name, args), nullptr};
    const std::filesystem::path port_file = directory_.Path(name + ".port");
    EXPECT_TRUE(
        Eventually([&] { return running.process->Ended() || std::filesystem::exists(port_file); }));
    const std::string port = ReadFile(port_file);
    EXPECT_NE(port, "") << ReadFile(directory_.Path(name + ".err"));
    running.client =
        Client::Create(
            {.address = absl::StrCat("127.0.0.1:", port.substr(0, port.find('\n'))), .channels = 2})
            .value();
    return running;
  }
  static void Kill(Process& process) {
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Wait(), -SIGKILL);
  }
  static void SpinUntil(absl::Time time) {
    while (absl::Now() < time) std::this_thread::yield();
  }

  const TemporaryDirectory directory_{"key_set_crash_test"};
};

TEST_F(KeySetCrashTest, WhatWasAcknowledgedSurvivesKillsAtRandomInstants) {
  const std::vector<std::string> args = {absl::StrCat("--key_set_dir=", directory_.Path("sets"))};
  const Running memory = Start("memory", {});
  KeySetWriter::Versions versions;
  std::vector<KeySetWriter> writers;
  uint64_t seed = 0;
  for (const Kind& kind : {Kind{"plain", {}, 24, 8, DataType::kFloat32},
                           Kind{"narrow", {}, 64, 3, DataType::kBfloat16},
                           Kind{"heads", {1, 2}, 8, 16, DataType::kFloat16},
                           Kind{"batch", {3}, 5, 5, DataType::kFloat32}}) {
    writers.emplace_back(kind, ++seed, &versions);
  }
  std::mt19937_64 random(1);
  std::atomic<int64_t> acknowledged{0};
  int64_t kills_while_loading = 0;
  const int rounds = Rounds();
  absl::Duration load_time = absl::ZeroDuration();
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    if (round > 0 && Pick(random, 0, 3) == 0) {
      const std::unique_ptr<Process> loading = Spawn("server", args);
      SpinUntil(absl::Now() + load_time * Pick(random, 0, 100) / 100);
      Kill(*loading);
      ++kills_while_loading;
    }
    const absl::Time begin = absl::Now();
    const Running server = Start("server", args);
    load_time = absl::Now() - begin;
    for (KeySetWriter& writer : writers) writer.Check(*server.client, *memory.client);
    if (HasFailure()) break;

    std::atomic<bool> is_killed{false};
    std::vector<std::thread> threads;
    for (KeySetWriter& writer : writers) {
      threads.emplace_back([&] { writer.Run(*server.client, is_killed, acknowledged); });
    }
    const int64_t enough = acknowledged + Pick(random, 0, 60);
    while (acknowledged < enough && !HasFailure()) std::this_thread::yield();
    SpinUntil(absl::Now() + absl::Microseconds(Pick(random, 0, 5000)));
    is_killed = true;
    Kill(*server.process);
    for (std::thread& thread : threads) thread.join();
    if (HasFailure()) break;
  }
  const Running server = Start("server", args);
  int64_t happened = 0;
  for (KeySetWriter& writer : writers) {
    writer.Check(*server.client, *memory.client);
    happened += writer.happened();
  }
  std::printf(
      "%d kills under load, %ld while loading; %ld changes were acknowledged, %ld happened "
      "whose reply was lost\n",
      rounds, static_cast<long>(kills_while_loading), static_cast<long>(acknowledged.load()),
      static_cast<long>(happened));
}

}  // namespace
}  // namespace qkserve
