#include "ingest/f1_participants.h"

#include <algorithm>
#include <utility>

#include "proto/check.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kF1StateFormat = 1;
constexpr std::uint8_t kF1HasList = 1;
constexpr std::uint8_t kF1HasStandings = 2;
constexpr std::uint32_t kF1StandingBits = (std::uint32_t{1} << kF1CarsMax) - 1;

}  // namespace

F1Participants::F1Participants() {
  for (F1Participant& each : slots_) each.name_as_sent.reserve(kF1NameBytesMax);
  name_cars();
}

bool F1Participants::enter(std::uint64_t uid) {
  if (has_session_ && uid_ == uid) return false;
  const std::uint64_t version = version_ + 1;
  *this = F1Participants();
  has_session_ = true;
  uid_ = uid;
  version_ = version;
  return true;
}

void F1Participants::begin_list(std::size_t active_cars) {
  const auto active = static_cast<std::uint8_t>(std::min(active_cars, kF1CarsMax));
  if (has_list_ && active_cars_ == active) return;
  has_list_ = true;
  active_cars_ = active;
  ++version_;
}

void F1Participants::list(std::size_t slot, std::uint8_t number, std::string_view name) {
  CHECK(slot < kF1CarsMax && name.size() <= kF1NameBytesMax);
  F1Participant& each = slots_[slot];
  if (each.number == number && each.name_as_sent == name) return;
  each.number = number;
  each.name_as_sent = name;
  each.name = printable(name, kF1NameBytesMax);
  ++version_;
}

void F1Participants::end_list() {
  name_cars();
}

void F1Participants::note_standings(std::uint32_t active) {
  if (has_standings_ && standings_ == active) return;
  has_standings_ = true;
  standings_ = active;
  ++version_;
  name_cars();
}

bool F1Participants::is_active(std::size_t slot) const {
  if (has_standings_) return (standings_ >> slot & 1) != 0;
  return !has_list_ || slot < active_cars_;
}

// A number that an unused slot still has takes it from nobody.
bool F1Participants::is_entered(std::size_t slot) const {
  return slot < active_cars_ || (has_standings_ && is_active(slot));
}

void F1Participants::name_cars() {
  std::array<std::uint8_t, 256> cars_of{};
  for (std::size_t slot = 0; slot < kF1CarsMax; ++slot) {
    if (is_entered(slot)) ++cars_of[slots_[slot].number];
  }
  for (std::size_t slot = 0; slot < kF1CarsMax; ++slot) {
    F1Participant& each = slots_[slot];
    const bool has_own = each.number != 0 && is_entered(slot) && cars_of[each.number] == 1;
    // Short enough to take no memory.
    each.car = has_own ? std::to_string(each.number) : "slot-" + std::to_string(slot);
  }
}

std::string F1Participants::save() const {
  if (!has_session_) return {};
  StateWriter out;
  out.put(kF1StateFormat);
  out.put(uid_);
  out.put(static_cast<std::uint8_t>((has_list_ ? kF1HasList : 0) |
                                    (has_standings_ ? kF1HasStandings : 0)));
  out.put(active_cars_);
  out.put(standings_);
  for (const F1Participant& each : slots_) {
    out.put(each.number);
    out.text(each.name);
  }
  return out.take();
}

Status F1Participants::load(std::string_view state) {
  if (state.empty()) return {};
  StateReader in(state);
  F1Participants loaded;
  const bool is_known = in.get<std::uint8_t>() == kF1StateFormat;
  loaded.has_session_ = true;
  loaded.uid_ = in.get<std::uint64_t>();
  const auto flags = in.get<std::uint8_t>();
  loaded.has_list_ = (flags & kF1HasList) != 0;
  loaded.has_standings_ = (flags & kF1HasStandings) != 0;
  loaded.active_cars_ = in.get<std::uint8_t>();
  loaded.standings_ = in.get<std::uint32_t>();
  bool is_sound = flags <= (kF1HasList | kF1HasStandings) && loaded.active_cars_ <= kF1CarsMax &&
                  loaded.standings_ <= kF1StandingBits;
  is_sound = is_sound && (loaded.has_list_ || loaded.active_cars_ == 0) &&
             (loaded.has_standings_ || loaded.standings_ == 0);
  for (F1Participant& each : loaded.slots_) {
    each.number = in.get<std::uint8_t>();
    each.name = in.text();
    each.name_as_sent = each.name;
    const bool is_untold = each.number == 0 && each.name.empty();
    is_sound = is_sound && (loaded.has_list_ || is_untold) && each.name.size() <= kF1NameBytesMax &&
               is_plain_text(each.name);
  }
  if (!is_known || !is_sound || !in.is_done()) {
    return {Code::kCorrupt, "f1 state: not one of this program's"};
  }
  loaded.name_cars();
  *this = std::move(loaded);
  return {};
}

}  // namespace pitbox
