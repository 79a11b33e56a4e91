// Causal attention of two heads over three tokens: softmax(scale * Q·Kᵀ) · V.
#include <qkserve/client.h>

#include <cmath>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  const auto client = qkserve::Client::Create({.address = argc > 1 ? argv[1] : "127.0.0.1:50051"});
  if (!client.ok()) {
    std::cerr << client.status() << '\n';
    return 1;
  }
  constexpr int kHeads = 2, kTokens = 3, kD = 4;
  const qkserve::Shape shape = {1, kHeads, kTokens, kD};  // [batch, heads, n, d]
  std::vector<float> queries(kHeads * kTokens * kD), keys(queries.size()), values(queries.size());
  for (size_t i = 0; i < queries.size(); ++i) {
    queries[i] = std::sin(static_cast<float>(i));
    keys[i] = std::cos(static_cast<float>(i));
    values[i] = static_cast<float>(i);
  }
  const auto reply = (*client)->Score(qkserve::View(queries, shape), qkserve::View(keys, shape),
                                      {.scale = 1 / std::sqrt(static_cast<float>(kD)),
                                       .is_causal = true,
                                       .values = qkserve::View(values, shape),
                                       .output = qkserve::Output::kContext,
                                       .metadata = {{"x-request-id", "context-example"}}});
  if (!reply.ok()) {
    std::cerr << reply.status() << '\n';
    return 1;
  }
  for (int head = 0; head < kHeads; ++head) {
    for (int token = 0; token < kTokens; ++token) {
      std::cout << "head " << head << ", token " << token << ":";
      for (const float element : reply->result.Row<float>(0, head, token)) {
        std::cout << ' ' << element;
      }
      std::cout << '\n';
    }
  }
}
