// TimedLaps: a lap engine that can say which cars it times, so that several can stand beside each
// other and the best evidence wins (lap_engines.h).
//
// Threads: the recorder's.

#pragma once

#include <string_view>

#include "buffer/lap_engine.h"

namespace pitbox {

class TimedLaps : public LapEngine {
 public:
  // It has evidence of this car's laps, as long as the session lasts.
  virtual bool times(std::string_view car) const = 0;
};

}  // namespace pitbox
