// The series of a soak as SVG: one panel each, over the same time.

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <string>

#include "apps/bench/soak.h"

namespace pitbox {
namespace {

constexpr double kWidth = 880;
constexpr double kLeft = 150;
constexpr double kRight = 20;
constexpr double kPanel = 96;  // With what is between two.
constexpr double kPlot = 64;
constexpr double kTop = 30;

struct Panel {
  const char* name;
  const char* unit;
  std::function<double(const SoakLook&)> value;
};

const std::array<Panel, 5>& panels() {
  static const std::array<Panel, 5> kAll = {{
      {"daemon's memory", "MiB", [](const SoakLook& look) { return look.daemon_mib; }},
      {"room's memory", "MiB", [](const SoakLook& look) { return look.room_mib; }},
      {"descriptors", "",
       [](const SoakLook& look) { return static_cast<double>(look.descriptors); }},
      {"WAL", "MiB", [](const SoakLook& look) { return look.wal_mib; }},
      {"room behind", "s", [](const SoakLook& look) { return look.behind_s; }},
  }};
  return kAll;
}

template <typename... Values>
std::string print(const char* format, Values... values) {
  std::array<char, 320> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

class Chart {
 public:
  explicit Chart(const std::vector<SoakLook>& looks)
      : looks_(looks), length_s_(std::max(1.0, looks.back().seconds)) {}

  std::string draw() const {
    const double height = kTop + kPanel * static_cast<double>(panels().size()) + 24;
    std::string svg = print(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        kWidth, height);
    double top = kTop;
    for (const Panel& panel : panels()) {
      svg += draw_panel(panel, top);
      top += kPanel;
    }
    svg += print("<text x=\"%.0f\" y=\"%.0f\">0</text>\n", kLeft, height - 8);
    svg += print("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%.2f h; grey: link cut</text>\n",
                 kWidth - kRight, height - 8, length_s_ / 3600);
    return svg + "</svg>\n";
  }

 private:
  double x_of(double seconds) const {
    return kLeft + (kWidth - kLeft - kRight) * seconds / length_s_;
  }

  std::string draw_panel(const Panel& panel, double top) const {
    double most = 0;
    for (const SoakLook& look : looks_) most = std::max(most, panel.value(look));
    const double scale = most > 0 ? kPlot / most : 0;
    std::string svg = draw_cuts(top);
    svg += print("<text x=\"8\" y=\"%.0f\">%s</text>\n", top + kPlot / 2, panel.name);
    svg += print("<text x=\"8\" y=\"%.0f\" fill=\"#555\">most %.4g %s</text>\n",
                 top + kPlot / 2 + 16, most, panel.unit);
    svg += print("<line x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#999\"/>\n", kLeft,
                 kWidth - kRight, top + kPlot, top + kPlot);
    svg += "<polyline fill=\"none\" stroke=\"#1f5fa8\" points=\"";
    for (const SoakLook& look : looks_) {
      svg += print("%.1f,%.1f ", x_of(look.seconds), top + kPlot - scale * panel.value(look));
    }
    return svg + "\"/>\n";
  }

  std::string draw_cuts(double top) const {
    std::string svg;
    for (std::size_t i = 0; i + 1 < looks_.size(); ++i) {
      if (!looks_[i].is_cut) continue;
      const double from = x_of(looks_[i].seconds);
      svg += print("<rect x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" height=\"%.0f\" fill=\"#ddd\"/>\n",
                   from, x_of(looks_[i + 1].seconds) - from, top, kPlot);
    }
    return svg;
  }

  const std::vector<SoakLook>& looks_;
  const double length_s_;
};

}  // namespace

std::string to_chart(const SoakFigures& figures) {
  return figures.looks.empty() ? std::string() : Chart(figures.looks).draw();
}

}  // namespace pitbox
