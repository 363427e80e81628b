#include "sync/room_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "buffer/clock.h"
#include "proto/batch.h"
#include "proto/frames.h"
#include "sync/resolver.h"
#include "sync/room_client.h"

namespace pitbox {
namespace {

Status broken_answer(const std::string& what) {
  return {Code::kCorrupt, "the room broke the protocol: " + what};
}

class Reader final : public RoomHandler {
 public:
  Reader(const RoomReaderOptions& options,
         const std::function<Status(const DownloadedEntry&)>& visit)
      : options_(options), visit_(visit) {}

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
    if (result_) return {};
    auto frame = parse_frame(bytes);
    if (!frame.ok()) return fail(broken_answer(frame.status().message()));
    last_frame_ = system_clock().boot_now();
    return take(frame.value());
  }
  void on_pong() override {}
  bool next_frame(std::string& out) override {
    if (subscribe_.empty()) return false;
    out += std::exchange(subscribe_, {});
    return true;
  }
  void on_closed(const RoomClosed& closed) override {
    gone_ = true;
    if (result_) return;
    const bool refused = closed.http_status == 401 || closed.http_status == 403 ||
                         closed.http_status == 404 || closed.reason == LinkReason::kAuthRejected;
    std::string text = closed.text;
    if (!goodbye_.empty()) text = "the room said goodbye: " + goodbye_ + "; " + text;
    result_ = Status(refused ? Code::kRejected : Code::kTryAgain, text);
  }

  bool gone() const { return gone_; }
  bool welcomed() const { return welcomed_; }
  BootNs last_frame() const { return last_frame_; }
  const std::optional<Status>& result() const { return result_; }

 private:
  Status fail(Status status) {
    result_ = status;
    return status;
  }
  Status take(const words::Frame& frame) {
    if (frame.has_goodbye()) {
      goodbye_ = frame.goodbye().reason();
      return {};
    }
    if (frame.has_welcome()) {
      welcomed_ = true;
      return {};
    }
    if (!welcomed_) return fail(broken_answer("something else before Welcome"));
    if (frame.has_definition()) return take_definition(frame.definition());
    if (frame.has_part()) return take_part(frame.part());
    if (frame.has_history_end() && !options_.live) {
      if (frame.history_end().entries() == entries_) return fail_or_end(Status());
      return fail(broken_answer("it gave " + std::to_string(entries_) +
                                " entries and says it gave " +
                                std::to_string(frame.history_end().entries())));
    }
    return {};
  }
  // Ends the download with a result; the connection is closed by the loop.
  Status fail_or_end(Status status) {
    result_ = std::move(status);
    return {};
  }
  Status take_definition(const words::Definition& frame) {
    auto definition = Definition::parse(frame.content());
    if (!definition.ok()) {
      return fail(broken_answer("a definition: " + definition.status().message()));
    }
    const DefinitionName& name = definition.value()->name();
    if (!std::equal(name.begin(), name.end(), frame.name().begin(), frame.name().end(),
                    [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
      return fail(broken_answer("a definition under another's name"));
    }
    definitions_[frame.name()] = std::move(definition).take();
    return {};
  }
  Status begin_entry(const words::Part& part) {
    open_.emplace();
    DownloadedEntry& entry = *open_;
    if (!part.box_id().empty()) {
      const auto box = Uuid::from_bytes(part.box_id());
      if (!box.ok()) return fail(broken_answer("a box id: " + box.status().message()));
      entry.box = box.value();
    }
    entry.incarnation = part.incarnation();
    entry.first = part.first();
    entry.last = part.last();
    entry.is_event = part.kind() == words::EVENT;
    entry.car = part.car();
    for (const std::string& raw : part.hashes()) {
      const auto hash = ContentHash::from_bytes(raw);
      if (!hash.ok()) return fail(broken_answer("a hash: " + hash.status().message()));
      entry.hashes.push_back(hash.value());
    }
    for (const std::string& name : part.definitions()) {
      const auto known = definitions_.find(name);
      if (known == definitions_.end()) return fail(broken_answer("a batch before its definition"));
      entry.definitions.push_back(known->second);
    }
    return {};
  }
  Status take_part(const words::Part& part) {
    if (part.total() > kMaxBatchBytes) return fail(broken_answer("an entry over 8 MiB"));
    if (part.offset() == 0) {
      if (open_) return fail(broken_answer("an entry before the last one was whole"));
      Status begun = begin_entry(part);
      if (!begun.ok()) return begun;
      open_->bytes.reserve(part.total());
    }
    if (!open_ || open_->incarnation != part.incarnation() || open_->first != part.first() ||
        open_->bytes.size() != part.offset() ||
        part.bytes().size() > part.total() - part.offset()) {
      return fail(broken_answer("a part out of place"));
    }
    open_->bytes += part.bytes();
    if (open_->bytes.size() < part.total()) return {};
    const DownloadedEntry entry = std::move(*open_);
    open_.reset();
    ++entries_;
    Status visited = visit_(entry);
    return visited.ok() ? Status() : fail_or_end(std::move(visited));
  }

  const RoomReaderOptions& options_;
  const std::function<Status(const DownloadedEntry&)>& visit_;
  std::string subscribe_;
  bool welcomed_ = false;
  bool gone_ = false;
  BootNs last_frame_ = 0;
  std::string goodbye_;
  std::map<std::string, DefinitionPtr> definitions_;  // By name.
  std::optional<DownloadedEntry> open_;
  std::uint64_t entries_ = 0;
  std::optional<Status> result_;
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
    if (reader.result()) {
      client->close(id, static_cast<std::uint16_t>(CloseCode::kDone), "read");
      continue;
    }
    const BootNs now = system_clock().boot_now();
    const BootNs until =
        reader.welcomed() ? reader.last_frame() + to_ns(options.idle_timeout) : open_until;
    if (now >= until) client->kill(id, LinkReason::kUnreachable, "the room says nothing");
  }
  return *reader.result();
}

}  // namespace pitbox
