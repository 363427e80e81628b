#include "sync/poll_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

struct Poll {
  PollKind kind = PollKind::kHealth;
  CURL* easy = nullptr;  // Null while none runs.
  curl_slist* addresses = nullptr;
  std::string body;
  bool had_failed = false;  // The next one gets a new connection: the old one may be half open.
};

std::size_t keep_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& body = static_cast<Poll*>(user)->body;
  const std::size_t room = PollClient::kBodyMax - std::min(PollClient::kBodyMax, body.size());
  body.append(bytes, std::min(size * count, room));
  return size * count;
}

LinkReason reason_of(CURLcode code, long os_error) {
  switch (static_cast<int>(code)) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return LinkReason::kDns;
    case CURLE_COULDNT_CONNECT:
      return os_error == ECONNREFUSED ? LinkReason::kRefused : LinkReason::kUnreachable;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return LinkReason::kTls;
    default:
      return LinkReason::kUnreachable;
  }
}

}  // namespace

struct PollClient::State {
  Options options;
  CURLM* multi = nullptr;
  curl_slist* headers = nullptr;
  std::array<Poll, 2> polls;  // By PollKind.
  std::deque<PollAnswer> answers;

  void stop(Poll& poll) {
    if (poll.easy == nullptr) return;
    curl_multi_remove_handle(multi, poll.easy);
    curl_easy_cleanup(std::exchange(poll.easy, nullptr));
    curl_slist_free_all(std::exchange(poll.addresses, nullptr));
    poll.body.clear();
  }
  std::string url(PollKind kind) const {
    return std::string(options.api.tls ? "https://" : "http://") + options.api.authority() +
           options.api.path + (kind == PollKind::kHealth ? "/health" : "/auth/me");
  }
  void finish(Poll& poll, CURLcode code);
};

PollClient::PollClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<PollClient>> PollClient::create(const Options& options) {
  auto state = std::make_unique<State>();
  state->options = options;
  state->polls[0].kind = PollKind::kHealth;
  state->polls[1].kind = PollKind::kAuth;
  // Counted by libcurl, so a second client does no harm; never taken back, as its manual advises
  // for a library that others in the process may use.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) return Status(Code::kFatal, "curl_global_init");
  state->multi = curl_multi_init();
  if (state->multi == nullptr) return Status(Code::kFatal, "curl_multi_init");
  std::string credential;
  if (!options.api_key.empty()) {
    credential = "X-API-Key: " + options.api_key;
  } else if (!options.bearer.empty()) {
    credential = "Authorization: Bearer " + options.bearer;
  }
  if (!credential.empty()) {
    state->headers = curl_slist_append(state->headers, credential.c_str());
  }
  return std::unique_ptr<PollClient>(new PollClient(std::move(state)));
}

PollClient::~PollClient() {
  for (Poll& poll : state_->polls) state_->stop(poll);
  curl_multi_cleanup(state_->multi);
  curl_slist_free_all(state_->headers);
}

void PollClient::start(PollKind kind, const std::string& address) {
  CHECK(kind != PollKind::kRoom);
  const Options& options = state_->options;
  Poll& poll = state_->polls.at(kind == PollKind::kHealth ? 0 : 1);
  state_->stop(poll);
  poll.easy = curl_easy_init();
  CHECK(poll.easy != nullptr);
  const bool is_v6 = address.find(':') != std::string::npos;
  const std::string pinned = "+" + options.api.host + ":" + std::to_string(options.api.port) + ":" +
                             (is_v6 ? "[" + address + "]" : address);
  poll.addresses = curl_slist_append(nullptr, pinned.c_str());
  CURL* const easy = poll.easy;
  curl_easy_setopt(easy, CURLOPT_URL, state_->url(kind).c_str());
  curl_easy_setopt(easy, CURLOPT_RESOLVE, poll.addresses);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, state_->headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.software.c_str());
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options.answer_within.count()));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, poll.had_failed ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &poll);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &poll);
  if (!options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  }
  CHECK(curl_multi_add_handle(state_->multi, easy) == CURLM_OK);
}

void PollClient::State::finish(Poll& poll, CURLcode code) {
  long status = 0;
  long os_error = 0;
  curl_off_t connect_us = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(poll.easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(poll.easy, CURLINFO_OS_ERRNO, &os_error);
  curl_easy_getinfo(poll.easy, CURLINFO_CONNECT_TIME_T, &connect_us);
  curl_easy_getinfo(poll.easy, CURLINFO_RETRY_AFTER, &retry_after);
  const PollQuestion question{poll.kind, url(poll.kind)};
  PollAnswer answer = code == CURLE_OK ? answer_of_http(question, status, retry_after, poll.body)
                                       : answer_of_failure(question, reason_of(code, os_error),
                                                           curl_easy_strerror(code));
  answer.http_status = static_cast<unsigned>(std::max(status, 0L));
  answer.connect_time = std::chrono::microseconds(connect_us);
  poll.had_failed = code != CURLE_OK;
  answers.push_back(std::move(answer));
  stop(poll);
}

void PollClient::step() {
  if (!busy()) return;
  int running = 0;
  curl_multi_perform(state_->multi, &running);
  int waiting = 0;
  while (const CURLMsg* const message = curl_multi_info_read(state_->multi, &waiting)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Poll* poll = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &poll);
    state_->finish(*poll, code);
  }
}

std::optional<PollAnswer> PollClient::next_answer() {
  if (state_->answers.empty()) return std::nullopt;
  PollAnswer answer = std::move(state_->answers.front());
  state_->answers.pop_front();
  return answer;
}

bool PollClient::busy() const {
  return std::any_of(state_->polls.begin(), state_->polls.end(),
                     [](const Poll& poll) { return poll.easy != nullptr; });
}

}  // namespace pitbox
