// The door to Boost.Asio: the parts that sources use, configured in one place.
//
// Everything is built without fenced blocks (CMakeLists.txt): they order memory between handlers
// that run on different threads. Ours all run on one, and the thread sanitizer of g++ 12 cannot
// follow stand-alone fences at all.

#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
