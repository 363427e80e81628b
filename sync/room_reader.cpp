#include "sync/room_reader.h"

#include <utility>

#include "buffer/clock.h"
#include "proto/frames.h"
#include "sync/resolver.h"
#include "sync/room_client.h"

namespace pitbox {
namespace {

class Reader final : public RoomHandler {
 public:
  Reader(const RoomReaderOptions& options,
         const std::function<Status(const DownloadedEntry&)>& visit)
      : options_(options), download_(options.live, visit) {}

  void on_open() override {
    words::Frame frame;
    words::Subscribe& subscribe = *frame.mutable_subscribe();
    subscribe.set_version(kRoomProtocolVersion);
    subscribe.set_session_id(options_.session.raw());
    subscribe.set_history(options_.history);
    subscribe.set_live(options_.live);
    subscribe.set_events_only(options_.events_only);
    subscribe.set_car(options_.car);
    subscribe_ = serialise(frame);
  }
  Status on_frame(std::string_view bytes) override {
    Status taken = download_.take(bytes);
    if (taken.ok()) last_frame_ = system_clock().boot_now();
    return taken;
  }
  void on_pong() override {}
  bool next_frame(std::string& out) override {
    if (subscribe_.empty()) return false;
    out += std::exchange(subscribe_, {});
    return true;
  }
  void on_closed(const RoomClosed& closed) override {
    gone_ = true;
    const bool refused = closed.http_status == 401 || closed.http_status == 403 ||
                         closed.http_status == 404 || closed.reason == LinkReason::kAuthRejected;
    std::string text = closed.text;
    if (!download_.goodbye().empty()) {
      text = "the room said goodbye: " + download_.goodbye() + "; " + text;
    }
    loss_ = Status(refused ? Code::kRejected : Code::kTryAgain, text);
  }

  bool gone() const { return gone_; }
  bool welcomed() const { return download_.is_welcomed(); }
  BootNs last_frame() const { return last_frame_; }
  bool has_ended() const { return download_.result().has_value(); }
  // REQUIRES: gone().
  Status result() const { return download_.result().value_or(loss_); }

 private:
  const RoomReaderOptions& options_;
  RoomDownload download_;
  std::string subscribe_;
  bool gone_ = false;
  BootNs last_frame_ = 0;
  Status loss_;  // How the connection ended, if the download had not.
};

Result<std::string> resolve(Resolver& resolver, RoomClient& client, const std::string& host,
                            BootNs until) {
  for (;;) {
    const BootNs now = system_clock().boot_now();
    const Resolver::Answer answer = resolver.look_up(host, now);
    if (!answer.addresses.empty()) return answer.addresses.front();
    if (answer.done) return Status(Code::kTryAgain, answer.error);
    if (now >= until) return Status(Code::kTryAgain, host + ": no answer from the name server");
    client.service(std::chrono::milliseconds(50));
  }
}

}  // namespace

Status read_room(const RoomReaderOptions& options,
                 const std::function<Status(const DownloadedEntry&)>& visit) {
  auto endpoint = parse_endpoint(options.url);
  if (!endpoint.ok()) return endpoint.status();
  RoomClient::Options client_options;
  client_options.api_key = options.api_key;
  client_options.bearer = options.bearer;
  client_options.ca_file = options.ca_file;
  client_options.tls = endpoint.value().tls;
  client_options.handshake_within = options.connect_timeout;
  auto made = RoomClient::create(client_options);
  if (!made.ok()) return made.status();
  const auto client = std::move(made).take();
  const BootNs open_until = system_clock().boot_now() + to_ns(options.connect_timeout);
  Resolver resolver([&client] { client->wake(); });
  auto address = resolve(resolver, *client, endpoint.value().host, open_until);
  if (!address.ok()) return address.status();

  Reader reader(options, visit);
  RoomClient::Target target{address.value(), endpoint.value(), options.connect_timeout};
  target.endpoint.path += "/rooms/" + options.session.text();
  const RoomClient::Id id = client->connect(target, reader);
  while (!reader.gone()) {
    client->service(std::chrono::milliseconds(100));
    if (reader.has_ended()) {
      client->close(id, static_cast<std::uint16_t>(CloseCode::kDone), "read");
      continue;
    }
    const BootNs now = system_clock().boot_now();
    const BootNs until =
        reader.welcomed() ? reader.last_frame() + to_ns(options.idle_timeout) : open_until;
    if (now >= until) client->kill(id, LinkReason::kUnreachable, "the room says nothing");
  }
  return reader.result();
}

}  // namespace pitbox
