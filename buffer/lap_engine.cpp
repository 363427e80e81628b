#include "buffer/lap_engine.h"

#include "proto/check.h"

namespace pitbox {

std::string_view to_string(LapKind kind) {
  switch (kind) {
    case LapKind::kOut:
      return "out";
    case LapKind::kTimed:
      return "timed";
    case LapKind::kIn:
      return "in";
    case LapKind::kPit:
      return "pit";
  }
  CHECK(false);
}

}  // namespace pitbox
