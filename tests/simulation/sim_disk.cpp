#include "tests/simulation/sim_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "proto/check.h"

namespace pitbox::simulation {
namespace {

constexpr std::size_t kSectorBytes = 512;

}  // namespace

// The real file lies right behind.
struct SimDisk::File {
  sqlite3_file base;
  sqlite3_file* real;
  Machine* machine;  // Null: passed through.
  Machine::Node* node;
  int level;  // SQLITE_LOCK_*
  unsigned shm_shared;
  unsigned shm_exclusive;
};

SimDisk& SimDisk::instance() {
  // One thread, and nobody asks how much memory SQLite has.
  static const bool kIsQuick = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK &&
                               sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
  static_cast<void>(kIsQuick);
  static SimDisk disk;
  return disk;
}

SimDisk::SimDisk() : real_(sqlite3_vfs_find(nullptr)) {
  CHECK(real_ != nullptr);
  shim_ = *real_;
  shim_.zName = "simulated";
  shim_.pAppData = this;
  shim_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  shim_.xOpen = open_file;
  shim_.xDelete = delete_file;
  CHECK(sqlite3_vfs_register(&shim_, 1) == SQLITE_OK);
}

SimDisk::Machine* SimDisk::machine_of(const char* path) {
  if (path == nullptr) return nullptr;
  for (Machine* machine : machines_) {
    const std::string& root = machine->root_.native();
    if (std::strncmp(path, root.c_str(), root.size()) == 0) return machine;
  }
  return nullptr;
}

SimDisk::Machine::Machine(std::filesystem::path root) : root_(std::move(root)) {
  instance().machines_.push_back(this);
}

SimDisk::Machine::~Machine() {
  std::erase(instance().machines_, this);
}

void SimDisk::Machine::fail(std::uint64_t from, std::uint64_t count, int code) {
  fail_from_ = from;
  fail_count_ = count;
  fail_code_ = code;
}

std::int64_t SimDisk::Machine::break_down(Dice& dice) {
  constexpr std::array kCodes = {SQLITE_IOERR, SQLITE_FULL};
  const std::uint64_t count = dice.one_in(3) ? 1'000'000 : 1 + dice.below(3);
  fail(operations_ + dice.below(40), count, kCodes.at(dice.below(kCodes.size())));
  return dice.between(20, 1'000) * 1'000'000;
}

void SimDisk::Machine::heal() {
  fail_count_ = 0;
  fails_sync_ = false;
  is_full_ = false;
}

int SimDisk::Machine::begin_operation(bool grows) {
  if (is_dead_) return SQLITE_IOERR;
  const std::uint64_t number = operations_++;
  if (number >= fail_from_ && number - fail_from_ < fail_count_) return fail_code_;
  if (is_full_ && grows) return SQLITE_FULL;
  return SQLITE_OK;
}

void SimDisk::Machine::undo(int file, const Change& change) {
  if (!change.before.empty()) {
    CHECK(pwrite(file, change.before.data(), change.before.size(), change.at) ==
          static_cast<ssize_t>(change.before.size()));
  }
  CHECK(ftruncate(file, change.size_before) == 0);
}

void SimDisk::Machine::redo(int file, const Change& change, Dice& dice, unsigned mode) {
  const bool is_whole = change.fate == Fate::kSynced || mode == 1 || (mode == 2 && dice.one_in(2));
  if (change.after.empty()) {
    if (is_whole) CHECK(ftruncate(file, change.at) == 0);
    return;
  }
  for (std::size_t from = 0; from < change.after.size(); from += kSectorBytes) {
    if (!is_whole && !(mode == 3 && dice.one_in(2))) continue;
    const std::size_t size = std::min(kSectorBytes, change.after.size() - from);
    CHECK(pwrite(file, change.after.data() + from, size,
                 change.at + static_cast<std::int64_t>(from)) == static_cast<ssize_t>(size));
  }
}

void SimDisk::Machine::settle() {
  for (auto& [path, node] : nodes_) node.changes.clear();
}

std::size_t SimDisk::Machine::cut_power(Dice& dice) {
  // All files together: nothing of what waited reached the disk (0), all of it (1), whole writes
  // (2), sectors (3).
  const auto mode = static_cast<unsigned>(dice.below(4));
  std::size_t taken = 0;
  for (auto& [path, node] : nodes_) {
    CHECK(node.open.empty());
    const Changes& changes = node.changes;
    if (changes.empty()) continue;
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) continue;  // Deleted meanwhile.
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) undo(file, *change);
    for (const Change& change : changes) {
      if (change.fate == Fate::kDoomed) continue;
      if (change.fate == Fate::kPending && mode != 1) ++taken;
      redo(file, change, dice, mode);
    }
    ::close(file);
  }
  settle();
  return taken;
}

sqlite3_file* SimDisk::real_of(sqlite3_file* file) {
  return file_of(file).real;
}

int SimDisk::open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* out, int flags,
                       int* out_flags) {
  SimDisk& disk = of(vfs);
  File& file = file_of(out);
  file.real = reinterpret_cast<sqlite3_file*>(&file + 1);
  file.machine = disk.machine_of(name);
  file.node = nullptr;
  file.level = SQLITE_LOCK_NONE;
  file.shm_shared = file.shm_exclusive = 0;
  file.base.pMethods = nullptr;
  if (file.machine != nullptr) {
    const bool creates = (flags & SQLITE_OPEN_CREATE) != 0 && access(name, F_OK) != 0;
    if (file.machine->is_dead_) return SQLITE_CANTOPEN;
    if (creates && file.machine->begin_operation(true) != SQLITE_OK) return SQLITE_CANTOPEN;
    file.node = &file.machine->nodes_[name];
    if (creates) file.node->changes.clear();
  }
  int code = disk.real_->xOpen(disk.real_, name, file.real, flags, out_flags);
  if (code != SQLITE_OK) return code;
  file.base.pMethods = methods();
  if (file.node == nullptr) return SQLITE_OK;
  if (file.node->open.empty()) code = file.real->pMethods->xFileSize(file.real, &file.node->size);
  file.node->open.push_back(&file);
  return code;
}

int SimDisk::delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  SimDisk& disk = of(vfs);
  if (Machine* machine = disk.machine_of(name)) {
    if (const int code = machine->begin_operation(false); code != SQLITE_OK) {
      return SQLITE_IOERR_DELETE;
    }
  }
  return disk.real_->xDelete(disk.real_, name, sync_directory);
}

int SimDisk::write(sqlite3_file* raw, const void* from, int size, sqlite3_int64 at) {
  File& file = file_of(raw);
  sqlite3_file* const real = file.real;
  if (file.machine == nullptr) return real->pMethods->xWrite(real, from, size, at);
  const sqlite3_int64 size_before = file.node->size;
  if (const int code = file.machine->begin_operation(at + size > size_before); code != SQLITE_OK) {
    return code == SQLITE_FULL ? code : SQLITE_IOERR_WRITE;
  }
  Machine::Change change{.at = at, .size_before = size_before};
  if (at < size_before) {
    change.before.resize(static_cast<std::size_t>(std::min<sqlite3_int64>(size, size_before - at)));
    const int code = real->pMethods->xRead(real, change.before.data(),
                                           static_cast<int>(change.before.size()), at);
    if (code != SQLITE_OK) return code;
  }
  // What the file itself refuses (a handle that only reads) never happened.
  if (const int code = real->pMethods->xWrite(real, from, size, at); code != SQLITE_OK) return code;
  change.after.assign(static_cast<const char*>(from), static_cast<std::size_t>(size));
  file.node->changes.push_back(std::move(change));
  file.node->size = std::max<sqlite3_int64>(size_before, at + size);
  return SQLITE_OK;
}

int SimDisk::truncate(sqlite3_file* raw, sqlite3_int64 size) {
  File& file = file_of(raw);
  sqlite3_file* const real = file.real;
  if (file.machine == nullptr) return real->pMethods->xTruncate(real, size);
  const sqlite3_int64 size_before = file.node->size;
  if (file.machine->begin_operation(false) != SQLITE_OK) return SQLITE_IOERR_TRUNCATE;
  if (size >= size_before) return real->pMethods->xTruncate(real, size);
  Machine::Change change{.at = size, .size_before = size_before};
  change.before.resize(static_cast<std::size_t>(size_before - size));
  int code = real->pMethods->xRead(real, change.before.data(),
                                   static_cast<int>(change.before.size()), size);
  if (code == SQLITE_OK) code = real->pMethods->xTruncate(real, size);
  if (code != SQLITE_OK) return code;
  file.node->changes.push_back(std::move(change));
  file.node->size = size;
  return SQLITE_OK;
}

// Nothing to do for the real file: the machine that runs the simulation does not lose power.
int SimDisk::sync(sqlite3_file* raw, int flags) {
  File& file = file_of(raw);
  if (file.machine == nullptr) return file.real->pMethods->xSync(file.real, flags);
  if (file.machine->is_dead_) return SQLITE_IOERR_FSYNC;  // Nobody asked for it.
  using Fate = Machine::Fate;
  int code = file.machine->begin_operation(false);
  if (std::exchange(file.machine->fails_sync_, false)) code = SQLITE_IOERR;
  bool has_doomed = false;
  for (Machine::Change& change : file.node->changes) {
    if (change.fate == Fate::kPending) {
      change.fate = code == SQLITE_OK ? Fate::kSynced : Fate::kDoomed;
    }
    has_doomed = has_doomed || change.fate == Fate::kDoomed;
  }
  // What is synced needs no memory, unless something that will be undone lies below it.
  if (!has_doomed) file.node->changes.clear();
  return code == SQLITE_OK ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int SimDisk::close_file(sqlite3_file* raw) {
  File& file = file_of(raw);
  if (file.node != nullptr) std::erase(file.node->open, &file);
  return file.real->pMethods->xClose(file.real);
}

int SimDisk::lock(sqlite3_file* raw, int level) {
  File& file = file_of(raw);
  if (file.node == nullptr) return file.real->pMethods->xLock(file.real, level);
  if (file.level >= level) return SQLITE_OK;
  int greatest = SQLITE_LOCK_NONE;  // Of the others.
  for (const File* other : file.node->open) {
    if (other != &file) greatest = std::max(greatest, other->level);
  }
  const bool is_free = level == SQLITE_LOCK_SHARED ? greatest < SQLITE_LOCK_PENDING
                                                   : greatest < SQLITE_LOCK_RESERVED;
  if (!is_free) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_EXCLUSIVE && greatest > SQLITE_LOCK_NONE) {
    file.level = SQLITE_LOCK_PENDING;  // Nobody new comes in while it waits for readers.
    return SQLITE_BUSY;
  }
  file.level = level;
  return SQLITE_OK;
}

int SimDisk::unlock(sqlite3_file* raw, int level) {
  File& file = file_of(raw);
  if (file.node == nullptr) return file.real->pMethods->xUnlock(file.real, level);
  file.level = std::min(file.level, level);
  return SQLITE_OK;
}

int SimDisk::check_reserved(sqlite3_file* raw, int* out) {
  File& file = file_of(raw);
  if (file.node == nullptr) return file.real->pMethods->xCheckReservedLock(file.real, out);
  *out = std::any_of(file.node->open.begin(), file.node->open.end(),
                     [](const File* one) { return one->level >= SQLITE_LOCK_RESERVED; })
             ? 1
             : 0;
  return SQLITE_OK;
}

int SimDisk::map_shm(sqlite3_file* raw, int page, int size, int extend, void volatile** out) {
  File& file = file_of(raw);
  if (file.node == nullptr) {
    return file.real->pMethods->xShmMap(file.real, page, size, extend, out);
  }
  auto& pages = file.node->shm;
  const auto wanted = static_cast<std::size_t>(page);
  while (extend != 0 && pages.size() <= wanted) {
    pages.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(size)));
  }
  *out = wanted < pages.size() ? pages[wanted].get() : nullptr;
  return SQLITE_OK;
}

int SimDisk::lock_shm(sqlite3_file* raw, int offset, int count, int flags) {
  File& file = file_of(raw);
  if (file.node == nullptr) {
    return file.real->pMethods->xShmLock(file.real, offset, count, flags);
  }
  const auto bit = [](int n) { return 1U << static_cast<unsigned>(n); };
  const unsigned bits = bit(offset + count) - bit(offset);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    file.shm_shared &= ~bits;
    file.shm_exclusive &= ~bits;
    return SQLITE_OK;
  }
  const bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  for (const File* other : file.node->open) {
    if (other == &file) continue;
    const unsigned against = other->shm_exclusive | (is_exclusive ? other->shm_shared : 0U);
    if ((against & bits) != 0) return SQLITE_BUSY;
  }
  (is_exclusive ? file.shm_exclusive : file.shm_shared) |= bits;
  return SQLITE_OK;
}

int SimDisk::unmap_shm(sqlite3_file* raw, int remove) {
  File& file = file_of(raw);
  if (file.node == nullptr) return file.real->pMethods->xShmUnmap(file.real, remove);
  file.shm_shared = file.shm_exclusive = 0;
  // The index is made anew from the WAL by the next who opens it, as after a reboot.
  if (file.node->open.size() == 1) file.node->shm.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods* SimDisk::methods() {
  static const sqlite3_io_methods kTable = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // Without memory-mapped reads: every change passes here.
    m.xClose = close_file;
    m.xRead = [](sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
      return real_of(f)->pMethods->xRead(real_of(f), to, size, at);
    };
    m.xWrite = write;
    m.xTruncate = truncate;
    m.xSync = sync;
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      if (file_of(f).node == nullptr) return real_of(f)->pMethods->xFileSize(real_of(f), size);
      *size = file_of(f).node->size;
      return SQLITE_OK;
    };
    m.xLock = lock;
    m.xUnlock = unlock;
    m.xCheckReservedLock = check_reserved;
    m.xFileControl = [](sqlite3_file* f, int op, void* argument) {
      // It would grow the file past us.
      if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
      return real_of(f)->pMethods->xFileControl(real_of(f), op, argument);
    };
    m.xSectorSize = [](sqlite3_file* f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
    };
    m.xShmMap = map_shm;
    m.xShmLock = lock_shm;
    m.xShmBarrier = [](sqlite3_file*) {};  // One thread.
    m.xShmUnmap = unmap_shm;
    return m;
  }();
  return &kTable;
}

}  // namespace pitbox::simulation
