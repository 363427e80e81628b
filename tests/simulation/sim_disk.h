// SimDisk: the disks of a simulated run. An SQLite VFS over the real one that knows, for every file
// below a machine's folder, what was written and not yet synced, so that a power cut can take it
// away; that fails operations when told to; and that lets a dead process change nothing any more.
//
// What a power cut does to a write that was not synced: all of it stays, none of it, or any subset
// of its sectors of 512 bytes; writes are not ordered among each other. A sync that reported an
// error has synced nothing, and what it should have synced never reaches the disk (what Linux does
// since 4.13: the pages are marked clean).
//
// Not simulated: names. Files are created and renamed by the real file system at once; the tests of
// the store cover lost renames.
//
// Threads: one. One SimDisk serves a process; it is the default VFS from its first use on.

#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/dice.h"

namespace pitbox::simulation {

class SimDisk {
 public:
  // One machine's disk: every SQLite file below `root`.
  struct File;
  class Machine {
   public:
    explicit Machine(std::filesystem::path root);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // Operations that change a file, so far.
    std::uint64_t operations() const { return operations_; }
    // The next `count` operations from operation `from` on fail with SQLite's `code`.
    void fail(std::uint64_t from, std::uint64_t count, int code);
    // Fails some operations soon, or all from some moment on; returns for how long that may last
    // before heal() is due (ns).
    std::int64_t break_down(Dice& dice);
    // The next sync fails.
    void fail_sync() { fails_sync_ = true; }
    // Until it is made false again: no file grows, SQLITE_FULL.
    void set_full(bool full) { is_full_ = full; }
    // The process is dead: what its destructors do changes nothing. Call revive() when they ran.
    void kill() { is_dead_ = true; }
    void revive() { is_dead_ = false; }
    // After kill() and the destructors. Returns how many writes it took away, whole or in part.
    std::size_t cut_power(Dice& dice);
    void heal();  // No more faults.
    // What was written is on the disk, whoever wrote it: the files were replaced from outside.
    void settle();

   private:
    friend class SimDisk;
    enum class Fate : std::uint8_t { kPending, kDoomed, kSynced };
    struct Change {
      Fate fate = Fate::kPending;
      std::int64_t at = 0;
      std::int64_t size_before = 0;  // Of the file.
      std::string before{};          // What lay at `at`, as far as the file reached.
      std::string after{};           // Empty: a truncation to `at`.
    };
    using Changes = std::vector<Change>;
    // One file, whoever has it open.
    struct Node {
      Changes changes;
      std::vector<File*> open;
      sqlite3_int64 size = 0;  // While it is open.
      std::vector<std::unique_ptr<std::byte[]>>
          shm;  // The WAL index: gone with the last who has it.
    };

    // SQLITE_OK, or what the operation is to fail with.
    int begin_operation(bool grows);
    static void undo(int file, const Change& change);
    static void redo(int file, const Change& change, Dice& dice, unsigned mode);

    const std::filesystem::path root_;
    std::map<std::string, Node> nodes_;  // By path.
    std::uint64_t operations_ = 0;
    std::uint64_t fail_from_ = 0;
    std::uint64_t fail_count_ = 0;
    int fail_code_ = SQLITE_IOERR;
    bool fails_sync_ = false;
    bool is_full_ = false;
    bool is_dead_ = false;
  };

  static SimDisk& instance();

 private:
  SimDisk();
  Machine* machine_of(const char* path);

  static SimDisk& of(sqlite3_vfs* vfs) { return *static_cast<SimDisk*>(vfs->pAppData); }
  static File& file_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* real_of(sqlite3_file* file);
  static int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* out, int flags,
                       int* out_flags);
  static int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory);
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at);
  static int truncate(sqlite3_file* file, sqlite3_int64 size);
  static int sync(sqlite3_file* file, int flags);
  static int close_file(sqlite3_file* file);
  // Locks among the connections of this process; SQLite's own would ask the kernel for each.
  static int lock(sqlite3_file* file, int level);
  static int unlock(sqlite3_file* file, int level);
  static int check_reserved(sqlite3_file* file, int* out);
  static int map_shm(sqlite3_file* file, int page, int size, int extend, void volatile** out);
  static int lock_shm(sqlite3_file* file, int offset, int count, int flags);
  static int unmap_shm(sqlite3_file* file, int remove);
  static const sqlite3_io_methods* methods();

  sqlite3_vfs* real_ = nullptr;
  sqlite3_vfs shim_{};
  std::vector<Machine*> machines_;
};

}  // namespace pitbox::simulation
