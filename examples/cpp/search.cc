// Puts keys on the server if they are absent, then prints the best keys for a query.
#include <qkserve/client.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

absl::Status PutIfAbsent(qkserve::Client& client, const std::string& name) {
  const absl::Status found = client.GetKeySet(name).status();
  if (!absl::IsNotFound(found)) return found;                // it is there, or the call failed
  const std::vector<float> keys = {5, 1, 4, 2, 3, 3, 2, 9};  // [4, 2]
  return client.PutKeySet(name, qkserve::Matrix(keys, 4, 2)).status();
}

absl::Status Search(qkserve::Client& client, const std::string& name) {
  const std::vector<float> query = {1, 0};  // [1, 2]
  const auto reply =
      client.Score(qkserve::Matrix(query, 1, 2), qkserve::KeySetReference{.name = name},
                   {.output = qkserve::Output::kTopK, .top_k = 2});
  if (!reply.ok()) return reply.status();
  const auto ids = reply->indices->Row<int32_t>(0);  // a TOP_K reply always has them
  const auto scores = reply->result.Row<float>(0);
  for (size_t i = 0; i < ids.size(); ++i) {
    std::cout << "key " << ids[i] << ": score " << scores[i] << '\n';
  }
  return absl::OkStatus();
}

int main(int argc, char** argv) {
  const auto client = qkserve::Client::Create({.address = argc > 1 ? argv[1] : "127.0.0.1:50051"});
  absl::Status status = client.status();
  if (status.ok()) status = PutIfAbsent(**client, "example_search");
  if (status.ok()) status = Search(**client, "example_search");
  if (status.ok()) return 0;
  std::cerr << status << '\n';
  return 1;
}
