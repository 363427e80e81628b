// Stage: a room, a daemon and the link between them, on loopback, in a folder of their own. What
// `./dev run` and the demo script play on, and tests of the whole line too.
//
//   cars --UDP--> socket held here --> pitboxd --> LinkProxy (may be cut) --> pitbox-room
//
// The UDP socket belongs to the stage and is handed to each daemon in turn, as a service manager
// would, so datagrams wait in the kernel while a daemon is dead.
//
// Threads: one. Everything it started is stopped, and its runtime folder removed, when it goes.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/launch/child_process.h"
#include "apps/launch/link_proxy.h"
#include "apps/launch/udp_holder.h"
#include "proto/status.h"

namespace pitbox {

class Stage {
 public:
  struct Options {
    std::filesystem::path programs{};  // Folder of pitboxd, pitbox and pitbox-room.
    std::filesystem::path folder{};    // For journals, room store, logs and configuration.
    std::uint16_t room_port = 0;       // 0: any.
    std::uint16_t source_port = 0;
    std::string decoder = "native";
    std::string track{};                      // A [track] table as TOML; may be empty.
    std::string more_sources{};               // Further [[source]] tables as TOML.
    std::uint64_t link_bytes_per_second = 0;  // 0: as fast as loopback.
    bool link_is_cut = false;                 // Until link().restore().
    int flush_ms = 0;                         // Of the journal; 0: the daemon's own.
    std::size_t receive_buffer_bytes = std::size_t{64} << 20;
    std::size_t slot_bytes = 2048;  // Of the source's ring.
  };
  // Makes the folders, binds the socket, starts room, proxy and daemon, and waits until the daemon
  // answers.
  static Result<std::unique_ptr<Stage>> set(const Options& options);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // These wait until it answers.
  Status start_room();
  Status start_daemon();
  // These do not.
  Status exec_room();
  Status exec_daemon();
  void kill_room() { room_.kill_now(); }
  void kill_daemon() { daemon_.kill_now(); }
  ChildProcess& daemon() { return daemon_; }
  ChildProcess& room() { return room_; }
  LinkProxy& link() { return *link_; }
  const UdpHolder& source() const { return source_; }

  // A `pitbox` command in the background, its output in the stage's log folder.
  Result<ChildProcess> start_command(const std::vector<std::string>& arguments,
                                     const std::string& log_name) const;
  // One request to the daemon; the answer as JSON text.
  Result<std::string> ask(const std::string& request) const;

  std::filesystem::path state_directory() const { return options_.folder / "state"; }
  // Of a source, by its name; "cars" is the stage's own.
  std::filesystem::path ring_file(const std::string& source) const {
    return runtime_ / "rings" / (source + ".ring");
  }
  std::filesystem::path log_directory() const { return options_.folder / "log"; }
  std::filesystem::path folder() const { return options_.folder; }
  std::string room_url() const;  // Past the proxy: always reachable.
  std::string page_url() const;

 private:
  explicit Stage(const Options& options) : options_(options) {}
  Status prepare();
  Status write_configuration() const;
  Status wait_for_daemon();
  Status wait_for_room();

  Options options_;
  std::filesystem::path runtime_;  // On tmpfs.
  std::uint16_t room_port_ = 0;
  UdpHolder source_;
  std::unique_ptr<LinkProxy> link_;
  ChildProcess room_;
  ChildProcess daemon_;
};

}  // namespace pitbox
