// Keeps keys on the server: puts them once, appends to them, and scores queries against them.
#include <qkserve/client.h>

#include <iostream>
#include <memory>
#include <string>

absl::Status Run(qkserve::Client& client, const std::string& name) {
  const float keys[] = {1, 0, 0, 1, 1, 1};  // [3, 2]
  const auto stored = client.PutKeySet(name, qkserve::Matrix(keys, 3, 2));
  if (!stored.ok()) return stored.status();

  // An append names the version that it follows, so a repeated one cannot append twice.
  const float more_keys[] = {2, 2};  // [1, 2]
  const auto grown = client.AppendKeySet(name, stored->version, qkserve::Matrix(more_keys, 1, 2));
  if (!grown.ok()) return grown.status();
  std::cout << name << " has " << grown->keys.shape[0] << " keys\n";

  const float query[] = {3, 4};  // [1, 2]
  const auto reply =
      client.Score(qkserve::Matrix(query, 1, 2), qkserve::KeySetReference{.name = name});
  if (!reply.ok()) return reply.status();
  for (const float score : reply->result.Row<float>(0)) std::cout << score << ' ';
  std::cout << '\n';
  return client.DeleteKeySet(name);
}

int main(int argc, char** argv) {
  const auto client = qkserve::Client::Create({.address = argc > 1 ? argv[1] : "127.0.0.1:50051"});
  const absl::Status status = client.ok() ? Run(**client, "example_key_set") : client.status();
  if (status.ok()) return 0;
  std::cerr << status << '\n';
  return 1;
}
