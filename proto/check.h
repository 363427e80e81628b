// CHECK states an invariant of our own code. It stays on in release builds: a daemon that stops is
// started again with its journal and ring intact, while one that carries on with a broken
// invariant writes the damage to disk. Bytes from outside are never CHECKed; they are kCorrupt.

#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
