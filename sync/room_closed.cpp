#include "sync/room_closed.h"

#include "proto/frames.h"

namespace pitbox {

LinkReason reason_of_status(unsigned http_status) {
  switch (http_status) {
    case 401:
    case 403:
      return LinkReason::kAuthRejected;
    case 429:
      return LinkReason::kThrottled;
    case 503:
      return LinkReason::kServerClosing;
    default:
      return LinkReason::kRefused;
  }
}

LinkReason reason_of_close(unsigned close_code) {
  switch (static_cast<CloseCode>(close_code)) {
    case CloseCode::kDone:
    case CloseCode::kGoingAway:
      return LinkReason::kServerClosing;
    case CloseCode::kCredentialExpired:
      return LinkReason::kAuthExpired;
    case CloseCode::kCredentialRejected:
      return LinkReason::kAuthRejected;
    case CloseCode::kConflict:
      return LinkReason::kConflict;
    case CloseCode::kTooManyConnections:
      return LinkReason::kThrottled;
    case CloseCode::kFrameTooBig:
    case CloseCode::kInternal:
    case CloseCode::kUnknownSession:
    case CloseCode::kReplaced:
    case CloseCode::kProtocolError:
    case CloseCode::kHelloRefused:
    case CloseCode::kStorageFull:
    case CloseCode::kTooSlow:
    case CloseCode::kNoHello:
      return LinkReason::kRefused;
  }
  return LinkReason::kRefused;
}

std::string text_of_close(unsigned close_code) {
  std::string text = "the room closed with " + std::to_string(close_code);
  const std::string_view name = to_string(static_cast<CloseCode>(close_code));
  if (!name.empty()) text += " (" + std::string(name) + ")";
  return text;
}

}  // namespace pitbox
