#include "sync/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sync/endpoint.h"

namespace pitbox {
namespace {

// Asked again at the earliest after this, so that a name that fails is not looked up in a loop.
constexpr BootNs kLeastLookupInterval = 1'000'000'000;

Resolver::Answer system_look(const std::string& name) {
  // glibc's own defaults (5 s, twice, per server) would hold up a stop for half a minute; these
  // are per thread, and this thread does nothing else.
  if ((_res.options & RES_INIT) == 0) {
    res_init();
    _res.retrans = 2;
    _res.retry = 2;
  }
  Resolver::Answer answer;
  answer.done = true;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (failed != 0) {
    answer.error = name + ": " + gai_strerror(failed);
    return answer;
  }
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(item->ai_addr, item->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    if (answer.addresses.size() < Resolver::kMaxAddresses) {
      answer.addresses.emplace_back(text.data());
    }
  }
  freeaddrinfo(list);
  if (answer.addresses.empty()) answer.error = name + ": has no address";
  return answer;
}

}  // namespace

Resolver::Resolver(std::function<void()> wake, Look look)
    : wake_(std::move(wake)), look_(look ? std::move(look) : Look(system_look)) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "resolver");
    run();
  });
}

Resolver::~Resolver() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Resolver::Answer Resolver::look_up(const std::string& name, BootNs now,
                                   std::chrono::nanoseconds max_age) {
  if (is_numeric_address(name)) return Answer{true, {name}, {}};
  const std::lock_guard lock(mutex_);
  if (!names_.contains(name) && names_.size() >= kMaxNames) {
    return Answer{true, {}, "too many names"};
  }
  Name& known = names_[name];
  const bool first = !known.answer.done;
  const BootNs wait =
      known.distrusted || !known.answer.error.empty() ? kLeastLookupInterval : to_ns(max_age);
  if (!known.queued && (first || now - known.asked_at >= wait)) {
    known.queued = true;
    known.asked_at = now;
    known.distrusted = false;
    queue_.push_back(name);
    changed_.notify_one();
  }
  return known.answer;
}

void Resolver::distrust(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto it = names_.find(name);
  if (it != names_.end()) it->second.distrusted = true;
}

void Resolver::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const std::string name = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Answer answer = look_(name);
    lock.lock();
    Name& known = names_[name];
    known.queued = false;
    if (answer.addresses.empty()) answer.addresses = std::move(known.answer.addresses);
    answer.done = true;
    known.answer = std::move(answer);
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace pitbox
