// PITBOX_CLONES before a function with a hot loop: it is compiled for x86-64-v3 (2015 and later) as
// well, and the loader takes the one that the machine can run. Elsewhere it says nothing. Results
// are the same bit for bit: files that use it are compiled with -ffp-contract=off.
//
// Not under sanitizers: the loader chooses before their runtime is there.

#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PITBOX_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PITBOX_CLONES
#endif
// For what such a function calls in its loops, so that it is compiled with it.
#define PITBOX_INLINE inline __attribute__((always_inline))
