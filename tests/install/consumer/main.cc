// Asks the server at argv[1] for the scores of one query against two keys, and checks them.

#include <qkserve/channel.h>
#include <qkserve/client.h>
#include <qkserve/version.h>

#include <cstring>
#include <iostream>

// The application's own headers: see core/tensor.h.
#include "base/clock.h"
#include "client/client.h"
#include "core/tensor.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: consumer HOST:PORT" << std::endl;
    return 2;
  }
  const float queries[] = {static_cast<float>(ApplicationClock()),
                           static_cast<float>(ApplicationClient())};
  const ApplicationTensor keys;
  const auto client = qkserve::Client::Create({.address = argv[1]});
  if (!client.ok()) {
    std::cerr << client.status() << std::endl;
    return 1;
  }
  const auto result = (*client)->Score(
      {qkserve::DataType::kFloat32, {1, 2}, reinterpret_cast<const std::byte*>(queries)},
      {qkserve::DataType::kFloat32, {2, 2}, reinterpret_cast<const std::byte*>(keys.elements)});
  if (!result.ok()) {
    std::cerr << result.status() << std::endl;
    return 1;
  }
  float scores[2];
  if (result->result.data.size_bytes() != sizeof(scores)) {
    std::cerr << "got " << result->result.data.size_bytes() << " bytes, expected " << sizeof(scores)
              << std::endl;
    return 1;
  }
  std::memcpy(scores, result->result.data.data(), sizeof(scores));
  std::cout << "scores " << scores[0] << " " << scores[1] << std::endl;
  return scores[0] == 11 && scores[1] == 17 ? 0 : 1;
}
