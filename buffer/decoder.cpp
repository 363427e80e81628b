#include "buffer/decoder.h"

#include "proto/check.h"

namespace pitbox {

std::string_view to_string(RejectReason reason) {
  switch (reason) {
    case RejectReason::kMalformed:
      return "malformed";
    case RejectReason::kChecksum:
      return "checksum";
    case RejectReason::kUnknownGroup:
      return "unknown_group";
    case RejectReason::kLimit:
      return "limit";
    case RejectReason::kTorn:
      return "torn";
    case RejectReason::kDuplicate:
      return "duplicate";
    case RejectReason::kUnsupported:
      return "unsupported";
    case RejectReason::kNoSpace:
      return "no_space";
  }
  CHECK(false);
}

}  // namespace pitbox
