#include "train/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

constexpr double kWidth = 720, kHeight = 400, kLeft = 60, kRight = 20, kTop = 40, kBottom = 45;

struct Point {
  double step, loss;
};

// Maps steps and losses to the drawing, losses on a logarithmic scale.
class Scale {
 public:
  explicit Scale(const std::vector<Point>& points) {
    for (const auto& p : points) {
      last_ = std::max(last_, p.step);
      low_ = std::min(low_, std::log10(p.loss));
      high_ = std::max(high_, std::log10(p.loss));
    }
    if (high_ - low_ < 0.1) high_ = low_ + 0.1;
  }
  double x(double step) const { return kLeft + (kWidth - kLeft - kRight) * step / last_; }
  double y(double loss) const {
    return kTop + (kHeight - kTop - kBottom) * (high_ - std::log10(loss)) / (high_ - low_);
  }
  double last() const { return last_; }
  double loss_at(double share) const { return std::pow(10, low_ + (high_ - low_) * share); }

 private:
  double last_ = 1, low_ = 1e9, high_ = -1e9;
};

std::string polyline(const std::vector<Point>& points, const Scale& scale, const char* style) {
  std::string path;
  for (const auto& p : points) path += fmt::format("{:.1f},{:.1f} ", scale.x(p.step), scale.y(p.loss));
  return fmt::format("<polyline fill=\"none\" {} points=\"{}\"/>\n", style, path);
}

std::vector<Point> running_mean(const std::vector<Point>& points) {
  std::vector<Point> mean;
  double keep = 1 - 1.0 / std::max<double>(5, static_cast<double>(points.size()) / 40), value = points.front().loss;
  for (const auto& p : points) mean.push_back({p.step, value = keep * value + (1 - keep) * p.loss});
  return mean;
}

}  // namespace

Metrics::Metrics(std::filesystem::path file, int64_t resumed_step) : file_(std::move(file)) {
  std::string kept;
  if (std::filesystem::exists(file_)) {
    std::string text = read_file(file_);
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      Json line = parse_json(std::string_view(text).substr(begin, end - begin), file_.string());
      if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer())
        throw Error(ErrorKind::format,
                    fmt::format("{}: found a line without a step, expected what nuri train wrote", file_.string()));
      if (line.value("step", int64_t{0}) > resumed_step) break;
      kept += text.substr(begin, end - begin + 1);
      lines_.push_back(std::move(line));
    }
  }
  write_file_atomically(file_, kept);
  stream_.open(file_, std::ios::app);
}

void Metrics::add(const Json& line) {
  lines_.push_back(line);
  stream_ << line.dump() << '\n' << std::flush;
  if (!stream_) throw Error(ErrorKind::resource, fmt::format("{}: cannot write", file_.string()));
}

std::string plot_losses(const std::vector<Json>& lines, const std::string& title) {
  std::vector<Point> points;
  for (const auto& line : lines)
    if (line.contains("loss") && line["loss"].is_number() && line["loss"].get<double>() > 0)
      points.push_back({line["step"].get<double>(), line["loss"].get<double>()});
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>\n",
      kWidth, kHeight, kLeft, title);
  if (!points.empty()) {
    Scale scale(points);
    for (int i = 0; i <= 4; ++i) {
      double loss = scale.loss_at(i / 4.0), step = scale.last() * i / 4.0;
      svg += fmt::format(
          "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
          "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3g}</text>"
          "<text x=\"{6:.1f}\" y=\"{7}\" text-anchor=\"middle\">{8:.0f}</text>\n",
          kLeft, kWidth - kRight, scale.y(loss), kLeft - 8, scale.y(loss) + 4, loss, scale.x(step), kHeight - 22, step);
    }
    svg += polyline(points, scale, "stroke=\"#9bc4e8\" stroke-width=\"1\"");
    svg += polyline(running_mean(points), scale, "stroke=\"#1f5fa8\" stroke-width=\"2\"");
  }
  return svg +
         fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>\n</svg>\n", kWidth / 2, kHeight - 6);
}

}  // namespace nuri
