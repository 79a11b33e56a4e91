// Scores two queries against three keys.
#include <qkserve/client.h>

#include <iostream>

int main(int argc, char** argv) {
  const auto client = qkserve::Client::Create({.address = argc > 1 ? argv[1] : "127.0.0.1:50051"});
  if (!client.ok()) {
    std::cerr << client.status() << '\n';
    return 1;
  }
  const float queries[] = {1, 2, 3, 4};     // [2, 2]: two rows, d = 2
  const float keys[] = {1, 0, 0, 1, 1, 1};  // [3, 2]
  const auto reply = (*client)->Score(qkserve::Matrix(queries, 2, 2), qkserve::Matrix(keys, 3, 2),
                                      {.scale = 0.5F, .timeout = absl::Seconds(5)});
  if (!reply.ok()) {  // for example UNAVAILABLE: no server answers
    std::cerr << reply.status() << '\n';
    return 1;
  }
  for (int query = 0; query < 2; ++query) {
    for (const float score : reply->result.Row<float>(query)) std::cout << score << ' ';
    std::cout << '\n';
  }
}
