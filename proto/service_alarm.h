// ServiceAlarm: ends the wait of lws_service() after a time that is given.
//
// libwebsockets rings what became due also before it starts to wait, and then waits for the next
// event of any kind (4.1.6, _lws_plat_service_tsi): an alarm of a few microseconds would be an
// alarm lost. So this one cancels the wait when it rings.
//
// Here, and not beside the client or the server, because both of them need it and neither knows the
// other. Only those who include it need the library.
//
// Threads: the one that calls lws_service().

#pragma once

#include <libwebsockets.h>

#include <chrono>
#include <cstddef>
#include <type_traits>

namespace pitbox {

class ServiceAlarm {
 public:
  ServiceAlarm() { call_.alarm = this; }
  ServiceAlarm(const ServiceAlarm&) = delete;
  ServiceAlarm& operator=(const ServiceAlarm&) = delete;

  // Replaces what was set. REQUIRES: cancel() before the context is destroyed.
  void set(lws_context* context, std::chrono::microseconds in) {
    context_ = context;
    lws_sul_schedule(context, 0, &call_.timer, ring, in.count());
  }
  void cancel() { lws_sul_cancel(&call_.timer); }

 private:
  // What the library knows by its address.
  struct Call {
    lws_sorted_usec_list_t timer{};  // First, so that its address is the call's.
    ServiceAlarm* alarm = nullptr;
  };
  static_assert(std::is_standard_layout_v<Call> && offsetof(Call, timer) == 0);

  static void ring(lws_sorted_usec_list_t* timer) {
    lws_cancel_service(reinterpret_cast<Call*>(timer)->alarm->context_);
  }

  Call call_;
  lws_context* context_ = nullptr;
};

}  // namespace pitbox
