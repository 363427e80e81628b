// DbcCursor: a place in the text of a DBC file, and the small things that can be read there. Each
// reads past space and then either takes what it names or takes nothing.
//
// A value: a copy is a place to come back to. One thread each.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pitbox {

class DbcCursor {
 public:
  explicit DbcCursor(std::string_view text);

  bool is_end() const { return at_ == text_.size(); }
  std::size_t line() const { return line_; }
  // Whether space includes the ends of lines. Comments (// to the end of the line) are space.
  void span_lines(bool spans) { spans_lines_ = spans; }

  void skip_space();
  void skip_line();  // To the beginning of the next.
  // Behind the semicolon that ends a statement; one in a quoted text is none. False if there is
  // none before a line that begins with a statement's keyword, and then stays at that line.
  bool skip_statement();

  bool take(char wanted);
  char peek();                               // 0 at the end.
  std::string_view word();                   // A name or keyword; empty if there is none.
  std::optional<std::uint64_t> whole();      // Without a sign.
  std::optional<std::int64_t> integer();     // With or without one.
  std::optional<double> number();            // Finite.
  std::optional<std::string_view> quoted();  // What stands between the quotes.
  // Line at which a quoted text began that ends nowhere; 0 if there was none.
  std::size_t endless_line() const { return endless_line_; }

 private:
  void step();
  bool is_keyword_here() const;

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t endless_line_ = 0;
  bool spans_lines_ = true;
};

// A keyword that begins a statement of a DBC file.
bool is_dbc_keyword(std::string_view word);

// A quoted text as plain UTF-8 of at most `bytes_max` bytes: CP1252 is translated, \" is a quote,
// control characters become spaces, what is too long ends with "...".
std::string dbc_text(std::string_view quoted, std::size_t bytes_max);

}  // namespace pitbox
