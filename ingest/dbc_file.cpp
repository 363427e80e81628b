#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include "ingest/dbc.h"

namespace pitbox {

Result<Dbc> load_dbc(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    return Status(Code::kRejected, file.string() + ": cannot be read (it is a directory)");
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) {
    std::string piece(std::size_t{64} << 10, '\0');
    while (text.size() <= kDbcFileBytesMax && stream) {
      stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
      text.append(piece, 0, static_cast<std::size_t>(stream.gcount()));
    }
  }
  if (!stream.eof() && text.size() <= kDbcFileBytesMax) {
    return Status(Code::kRejected, file.string() + ": cannot be read (" +
                                       std::generic_category().message(errno) + ")");
  }
  return parse_dbc(text, file.string());
}

}  // namespace pitbox
