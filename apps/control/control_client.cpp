#include "apps/control/control_client.h"

#include <boost/asio.hpp>

namespace pitbox {
namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{16} << 20;

}  // namespace

Result<std::string> ask_daemon(const std::filesystem::path& socket, std::string_view request,
                               std::chrono::milliseconds patience) {
  namespace asio = boost::asio;
  asio::io_context context;
  asio::local::stream_protocol::socket connection(context);
  boost::system::error_code error;
  connection.connect(asio::local::stream_protocol::endpoint(socket.string()), error);
  if (error) {
    return Status(Code::kTryAgain, "no daemon answers at " + socket.string() + " (" +
                                       error.message() +
                                       "); start pitboxd, or name its directory with --runtime");
  }

  const std::string line = std::string(request) + "\n";
  asio::streambuf answer(kMaxAnswerBytes);
  boost::system::error_code outcome = asio::error::would_block;
  std::size_t answer_bytes = 0;
  asio::async_write(
      connection, asio::buffer(line), [&](const boost::system::error_code&, std::size_t) {
        // Whether or not it was taken: a server that hung up may have said why before it did.
        asio::async_read_until(connection, answer, '\n',
                               [&](const boost::system::error_code& read, std::size_t bytes) {
                                 outcome = read;
                                 answer_bytes = bytes;
                               });
      });
  context.run_for(patience);
  if (outcome == asio::error::would_block) {
    return Status(Code::kFatal, "the daemon took longer than " + std::to_string(patience.count()) +
                                    " ms to answer");
  }
  if (outcome) return Status(Code::kFatal, "the daemon hung up: " + outcome.message());
  return std::string(
      asio::buffers_begin(answer.data()),
      asio::buffers_begin(answer.data()) + static_cast<std::ptrdiff_t>(answer_bytes - 1));
}

}  // namespace pitbox
