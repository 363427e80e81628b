// What the kernel says of a running process: processor time, of it and of its threads by their
// names, and memory. From /proc; a process that is gone has none.
//
// Threads: plain functions.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace pitbox {

// utime + stime since it started, all threads; to 10 ms.
double processor_seconds(pid_t pid);
// The same by the names of the threads that run now; threads of one name are added up.
std::map<std::string, double> thread_seconds(pid_t pid);
// A line of /proc/PID/status that is in kB: "VmRSS", "VmHWM". 0 if there is none.
std::uint64_t memory_kib(pid_t pid, std::string_view key);

}  // namespace pitbox
