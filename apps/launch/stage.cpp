#include "apps/launch/stage.h"

#include <sys/statfs.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <fstream>
#include <thread>

#include "apps/control/control_client.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kStartPatience{10'000};
constexpr milliseconds kPollEvery{5};

// Where the rings go: memory that outlives a process.
fs::path runtime_root() {
  const char* chosen = std::getenv("XDG_RUNTIME_DIR");
  if (chosen != nullptr && access(chosen, W_OK) == 0) return chosen;
  if (access("/dev/shm", W_OK) == 0) return "/dev/shm";
  return fs::temp_directory_path();
}

// A free TCP port of loopback. Somebody else may take it before it is used; then the room says so.
Result<std::uint16_t> free_port() {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor(context);
  const boost::asio::ip::tcp::endpoint any(boost::asio::ip::address_v4::loopback(), 0);
  boost::system::error_code error;
  acceptor.open(any.protocol(), error);
  if (!error) acceptor.bind(any, error);
  if (error) return Status(Code::kFatal, "find a free port: " + error.message());
  return acceptor.local_endpoint().port();
}

bool accepts_connections(std::uint16_t port) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  boost::system::error_code error;
  socket.connect({boost::asio::ip::address_v4::loopback(), port}, error);
  return !error;
}

std::string last_lines(const fs::path& file) {
  std::ifstream stream(file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  constexpr std::size_t kShown = 800;
  return text.size() <= kShown ? text : text.substr(text.size() - kShown);
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::set(const Options& options) {
  std::unique_ptr<Stage> stage(new Stage(options));
  if (Status prepared = stage->prepare(); !prepared.ok()) return prepared;
  if (Status started = stage->start_room(); !started.ok()) return started;
  auto link = LinkProxy::start(stage->room_port_, options.link_bytes_per_second);
  if (!link.ok()) return link.status();
  stage->link_ = std::move(link).take();
  if (options.link_is_cut) stage->link_->cut();
  if (Status written = stage->write_configuration(); !written.ok()) return written;
  if (Status started = stage->start_daemon(); !started.ok()) return started;
  return stage;
}

Stage::~Stage() {
  daemon_.stop(milliseconds(10'000));
  room_.stop(milliseconds(5'000));
  std::error_code ignored;
  if (!runtime_.empty()) fs::remove_all(runtime_, ignored);
}

Status Stage::prepare() {
  std::error_code error;
  for (const fs::path& folder :
       {options_.folder, state_directory(), log_directory(), options_.folder / "room"}) {
    fs::create_directories(folder, error);
    if (error) return {Code::kRejected, folder.string() + ": " + error.message()};
  }
  runtime_ = runtime_root() / ("pitbox-" + std::to_string(getpid()));
  fs::create_directories(runtime_, error);
  if (error) return {Code::kRejected, runtime_.string() + ": " + error.message()};

  auto source = UdpHolder::bind(options_.source_port, options_.receive_buffer_bytes);
  if (!source.ok()) {
    return Status(source.status())
        .within("listen for cars on UDP port " + std::to_string(options_.source_port) +
                " (another one with --source-port)");
  }
  source_ = std::move(source).take();
  room_port_ = options_.room_port;
  if (room_port_ != 0) {
    if (accepts_connections(room_port_)) {
      return {Code::kTryAgain,
              "port " + std::to_string(room_port_) +
                  " is in use already: is another pitbox-room running? (another port with "
                  "--room-port)"};
    }
    return {};
  }
  const auto port = free_port();
  if (!port.ok()) return port.status();
  room_port_ = port.value();
  return {};
}

Status Stage::write_configuration() const {
  std::ofstream file(options_.folder / "pitbox.toml");
  file << "# Written by pitbox-demo.\n"
       << "state_dir = \"" << state_directory().string() << "\"\n"
       << "runtime_dir = \"" << runtime_.string() << "\"\n\n"
       << "[[source]]\nname = \"cars\"\nkind = \"udp\"\nlisten = \"127.0.0.1:" << source_.port()
       << "\"\ndecoder = \"" << options_.decoder << "\"\nslot_bytes = " << options_.slot_bytes
       << "\n\n"
       << options_.more_sources << "\n"
       << "[room]\nurl = \"ws://127.0.0.1:" << link_->port() << "\"\n\n"
       << "[api]\nurl = \"http://127.0.0.1:" << link_->port() << "\"\n\n"
       << options_.track;
  if (options_.flush_ms > 0) file << "\n[journal]\nflush_ms = " << options_.flush_ms << "\n";
  file.close();
  if (file) return {};
  return {Code::kFull, "cannot write " + (options_.folder / "pitbox.toml").string()};
}

Status Stage::start_room() {
  if (Status executed = exec_room(); !executed.ok()) return executed;
  return wait_for_room();
}

Status Stage::exec_room() {
  auto started =
      ChildProcess::start({.program = options_.programs / "pitbox-room",
                           .arguments = {"--no-auth", "--port", std::to_string(room_port_),
                                         "--store", (options_.folder / "room").string()},
                           .environment = {},
                           .sockets = {},
                           .output = log_directory() / "room.log"});
  if (!started.ok()) return Status(started.status()).within("start the room");
  room_ = std::move(started).take();
  return {};
}

Status Stage::start_daemon() {
  if (Status executed = exec_daemon(); !executed.ok()) return executed;
  return wait_for_daemon();
}

Status Stage::exec_daemon() {
  auto started =
      ChildProcess::start({.program = options_.programs / "pitboxd",
                           .arguments = {"--config", (options_.folder / "pitbox.toml").string()},
                           .environment = {},
                           .sockets = {{"cars", source_.descriptor()}},
                           .output = log_directory() / "pitboxd.log"});
  if (!started.ok()) return Status(started.status()).within("start the daemon");
  daemon_ = std::move(started).take();
  return {};
}

Status Stage::wait_for_room() {
  const auto until = steady_clock::now() + kStartPatience;
  while (steady_clock::now() < until) {
    if (!room_.is_running()) break;
    if (accepts_connections(room_port_)) return {};
    std::this_thread::sleep_for(kPollEvery);
  }
  return {Code::kFatal, "the room did not start; its log ends with:\n" +
                            last_lines(log_directory() / "room.log")};
}

Status Stage::wait_for_daemon() {
  const auto until = steady_clock::now() + kStartPatience;
  while (steady_clock::now() < until) {
    if (!daemon_.is_running()) break;
    if (ask(R"({"command":"status"})").ok()) return {};
    std::this_thread::sleep_for(kPollEvery);
  }
  return {Code::kFatal, "the daemon did not start; its log ends with:\n" +
                            last_lines(log_directory() / "pitboxd.log")};
}

Result<ChildProcess> Stage::start_command(const std::vector<std::string>& arguments,
                                          const std::string& log_name) const {
  return ChildProcess::start({.program = options_.programs / "pitbox",
                              .arguments = arguments,
                              .environment = {},
                              .sockets = {},
                              .output = log_directory() / log_name});
}

Result<std::string> Stage::ask(const std::string& request) const {
  return ask_daemon(runtime_ / "control.sock", request, milliseconds(15'000));
}

std::string Stage::room_url() const {
  return "ws://127.0.0.1:" + std::to_string(room_port_);
}
std::string Stage::page_url() const {
  return "http://127.0.0.1:" + std::to_string(room_port_) + "/";
}

}  // namespace pitbox
