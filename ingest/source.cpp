#include "ingest/source.h"

namespace pitbox {

std::string_view to_string(SourceKind kind) {
  return kind == SourceKind::kUdp ? "udp" : "tcp";
}

}  // namespace pitbox
