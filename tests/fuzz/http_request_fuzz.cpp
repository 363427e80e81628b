// Attacks HttpApi: whatever a request says, nobody gets past it without a key of the file (or a
// ticket that was issued to one), nobody whose Host or Origin is foreign gets anything, and every
// answer is one well-formed HTTP answer: headers of our own making, the body's length, a body that
// is JSON where it says so.
//
// Input: the request's fields in the order of HttpRequest, each as a byte of length and the bytes;
// then one byte: with bit 0 its ticket is one that was issued.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "proto/check.h"
#include "proto/text.h"
#include "room/http_api.h"
#include "tests/temporary_directory.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.

constexpr std::string_view kKey = "rk_0123456789abcdef";

class Nobody final : public Outbound {
 public:
  void send(ConnectionId, SharedFrame) override {}
  void close(ConnectionId, CloseCode, std::string_view) override {}
  std::size_t queued_bytes(ConnectionId) const override { return 0; }
};

// Files, keys and rooms: made once, not touched by requests.
struct Place {
  Place() {
    const auto file = folder.path() / "keys";
    std::ofstream(file) << kKey << " box-a\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
    keys = std::make_unique<ApiKeys>(ApiKeys::open(file).take());
    Rooms::Options options;
    options.directory = folder.path() / "store";
    rooms = Rooms::open(options, nobody).take();
  }
  testing::TemporaryDirectory folder;
  Nobody nobody;
  std::unique_ptr<ApiKeys> keys;
  std::unique_ptr<Rooms> rooms;
};

bool has_key(const HttpRequest& request) {
  if (!request.api_key.empty()) return request.api_key == kKey;
  return request.authorization == "Bearer " + std::string(kKey);
}

bool is_foreign(const HttpRequest& request) {
  if (request.origin.empty()) return request.host.empty();
  return request.origin != "http://" + request.host && request.origin != "https://" + request.host;
}

void check_bytes(const HttpAnswer& answer) {
  const std::string bytes = to_http(answer);
  const std::size_t end = bytes.find("\r\n\r\n");
  CHECK(bytes.starts_with("HTTP/1.1 ") && end != std::string::npos);
  CHECK(bytes.substr(end + 4) == answer.body);
  std::string head = bytes.substr(0, end);
  CHECK(head.find("\r\nContent-Length: " + std::to_string(answer.body.size())) !=
        std::string::npos);
  for (std::size_t at = 0; (at = head.find("\r\n", at)) != std::string::npos;) head.erase(at, 2);
  CHECK(is_plain_text(head));
  const bool is_json = answer.content_type == "application/json";
  CHECK(!is_json || !nlohmann::json::parse(answer.body, nullptr, false).is_discarded());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Place kPlace;
  HttpApi api({.allowed_hosts = {"pit.example"}}, *kPlace.keys, *kPlace.rooms);
  const HttpApi::Clock::time_point now{std::chrono::seconds(5)};
  std::string_view input(reinterpret_cast<const char*>(data), size);
  HttpRequest request;
  for (std::string* field :
       {&request.method, &request.path, &request.ticket, &request.host, &request.origin,
        &request.authorization, &request.api_key, &request.subprotocols}) {
    if (input.empty()) return 0;
    const auto length = static_cast<std::uint8_t>(input[0]);
    *field = input.substr(1, length);
    input.remove_prefix(std::min(input.size(), std::size_t{1} + length));
  }
  const bool has_ticket = !input.empty() && (input[0] & 1) != 0;
  if (has_ticket) {
    HttpRequest wish;
    wish.method = "POST";
    wish.path = "/tickets";
    wish.host = "127.0.0.1";
    wish.api_key = kKey;
    const HttpAnswer issued = api.answer(wish, 1, now);
    CHECK(issued.status == 200);
    request.ticket = nlohmann::json::parse(issued.body)["ticket"].get<std::string>();
  }

  const HttpAnswer answer = api.answer(request, 1, now);
  check_bytes(answer);
  CHECK(!is_foreign(request) || answer.status == 403);
  const bool is_private =
      request.path == "/auth/me" || request.path == "/tickets" || request.path == "/api/sessions";
  CHECK(answer.status != 200 || !is_private || has_key(request));

  const auto admitted = api.admit(request, now);
  if (const auto* refused = std::get_if<HttpAnswer>(&admitted)) {
    check_bytes(*refused);
    CHECK(refused->status >= 400);
    return 0;
  }
  CHECK(has_key(request) || has_ticket);
  CHECK(!is_foreign(request) && std::get<Admission>(admitted).account.name == "box-a");
  // A ticket is for one WebSocket.
  if (!has_key(request)) CHECK(std::holds_alternative<HttpAnswer>(api.admit(request, now)));
  return 0;
}
