// Finds the two best of four keys for each of two queries.
#include <qkserve/client.h>

#include <cstdint>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  const auto client = qkserve::Client::Create({.address = argc > 1 ? argv[1] : "127.0.0.1:50051"});
  if (!client.ok()) {
    std::cerr << client.status() << '\n';
    return 1;
  }
  const std::vector<float> queries = {1, 0, 0, 1};           // [2, 2]
  const std::vector<float> keys = {5, 1, 4, 2, 3, 3, 2, 9};  // [4, 2]
  qkserve::ScoreOptions options = {.output = qkserve::Output::kTopK, .top_k = 2};
  options.timeout = absl::Seconds(2);
  options.metadata = {{"x-request-id", "example-1"}};  // the server logs it with slow requests
  const auto reply =
      (*client)->Score(qkserve::Matrix(queries, 2, 2), qkserve::Matrix(keys, 4, 2), options);
  if (!reply.ok()) {
    std::cerr << reply.status() << '\n';
    return 1;
  }
  for (int query = 0; query < 2; ++query) {
    const auto scores = reply->result.Row<float>(query);
    const auto indices = reply->indices->Row<int32_t>(query);  // a TOP_K reply always has them
    std::cout << "query " << query << ":";
    for (size_t i = 0; i < scores.size(); ++i) {
      std::cout << " key " << indices[i] << " (" << scores[i] << ")";
    }
    std::cout << '\n';
  }
}
