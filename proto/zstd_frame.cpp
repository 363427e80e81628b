#include "proto/zstd_frame.h"

#include <zstd.h>

#include <memory>

namespace pitbox {
namespace {

constexpr int kLevel = 1;
constexpr std::string_view kMagic = "\x28\xB5\x2F\xFD";

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compression_context() {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  CHECK(context != nullptr);
  return context.get();
}

ZSTD_DCtx* decompression_context() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  CHECK(context != nullptr);
  return context.get();
}

Status corrupt_zstd(const char* what) {
  return {Code::kCorrupt, std::string("zstd frame: ") + what};
}

}  // namespace

std::string zstd_compress(std::string_view content) {
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size = ZSTD_compressCCtx(compression_context(), frame.data(), frame.size(),
                                             content.data(), content.size(), kLevel);
  // With room for the bound it can fail only for lack of memory.
  CHECK(ZSTD_isError(size) == 0);
  frame.resize(size);
  return frame;
}

Result<std::string> zstd_decompress(std::string_view frame, std::size_t max_bytes) {
  // The library also reads skippable frames and, as some build it, formats of its early versions.
  if (!frame.starts_with(kMagic)) return corrupt_zstd("it does not start like one");
  const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(frame_bytes) != 0 || frame_bytes != frame.size()) {
    return corrupt_zstd("it is not exactly one frame");
  }
  const unsigned long long declared = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (declared == ZSTD_CONTENTSIZE_ERROR || declared == ZSTD_CONTENTSIZE_UNKNOWN) {
    return corrupt_zstd("it does not name its content size");
  }
  if (declared > max_bytes) return corrupt_zstd("its content is larger than allowed");
  std::string content(static_cast<std::size_t>(declared), '\0');
  const std::size_t size = ZSTD_decompressDCtx(decompression_context(), content.data(),
                                               content.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0) return corrupt_zstd("it does not decompress");
  if (size != content.size()) return corrupt_zstd("its content is shorter than it says");
  return content;
}

}  // namespace pitbox
