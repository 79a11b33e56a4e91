// Asks the server at argv[1] for the scores of one query against two keys, and checks them.

// The application's own headers. core/tensor.h says more.
#include "base/clock.h"
#include "client/client.h"
#include "core/tensor.h"
// The library's headers.
#include <qkserve/channel.h>
#include <qkserve/client.h>
#include <qkserve/version.h>

#include <iostream>

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
  const auto reply =
      (*client)->Score(qkserve::Matrix(queries, 1, 2), qkserve::Matrix(keys.elements, 2, 2));
  if (!reply.ok()) {
    std::cerr << reply.status() << std::endl;
    return 1;
  }
  const auto scores = reply->result.Row<float>(0);
  std::cout << "qkserve " << qkserve::kVersion << ": scores " << scores[0] << " " << scores[1]
            << std::endl;
  return scores[0] == 11 && scores[1] == 17 ? 0 : 1;
}
