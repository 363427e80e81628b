// The page's files, put into the binary by page/embed.cmake, so that the server needs no folder of
// files beside it and the page cannot be another version than its server.

#pragma once

#include <span>
#include <string_view>

namespace pitbox {

struct PageAsset {
  std::string_view path;  // As in the URL: "/", "/app.js", "/style.css".
  std::string_view content_type;
  std::string_view body;
};

std::span<const PageAsset> page_assets();

}  // namespace pitbox
