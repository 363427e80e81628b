// Status says whether an operation worked and, if not, what the caller should do about it.
//
// A code is chosen by the remedy, never by the origin: a busy database and a refused connection are
// both kTryAgain. The message is for a person; no code may branch on it. Mistakes of our own are
// not Statuses but CHECKs.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "proto/check.h"

namespace pitbox {

enum class Code : std::uint8_t {
  kOk,
  kTryAgain,  // Nothing is wrong with the request; repeat it after a delay.
  kFull,      // A bounded resource is exhausted; shed load, count it, carry on.
  kCorrupt,   // Stored or received bytes are not what they claim; set them aside, carry on.
  kRejected,  // The request can never succeed as given; do not repeat it.
  kFatal,     // This component cannot continue; close it and report.
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  // REQUIRES: code is not kOk.
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {
    CHECK(code != Code::kOk);
  }
  static Status corrupt(std::string message) { return {Code::kCorrupt, std::move(message)}; }
  static Status rejected(std::string message) { return {Code::kRejected, std::move(message)}; }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // Names the step that failed, outermost first: "open journal: migrate: disk I/O error".
  Status within(const std::string& step) && {
    if (!ok()) message_.insert(0, step + ": ");
    return std::move(*this);
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value, or the reason there is none. REQUIRES: ok() before value() or take().
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that a function can `return value;` or `return Status(...);`.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : value_(std::move(value)) {}
  Result(Status error) : error_(std::move(error)) { CHECK(!error_.ok()); }
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return error_; }
  const T& value() const {
    CHECK(ok());
    return *value_;
  }
  T& value() {
    CHECK(ok());
    return *value_;
  }
  T take() && {
    CHECK(ok());
    return *std::move(value_);
  }

 private:
  std::optional<T> value_;
  Status error_;
};

}  // namespace pitbox
