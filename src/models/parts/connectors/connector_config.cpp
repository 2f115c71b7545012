#include "models/parts/connectors/connector_config.h"

#include <fmt/format.h>

#include <cmath>

#include "models/parts/size_config.h"
#include "models/parts/table_config.h"

namespace nuri {
namespace {

using Kind = ConnectorConfig::Kind;

constexpr std::pair<const char*, Kind> kKinds[] = {
    {"linear", Kind::linear},
    {"mlp", Kind::mlp},
    {"pixel_shuffle", Kind::pixel_shuffle},
    {"spatial_pooling", Kind::spatial_pooling},
    {"q_former", Kind::q_former},
    {"perceiver_resampler", Kind::perceiver_resampler},
    {"c_abstractor", Kind::c_abstractor},
};

Kind read_kind(const ConfigReader& config) {
  std::string type = config.required<std::string>("type"), known;
  for (const auto& [name, kind] : kKinds) {
    if (type == name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  config.reject("type", "one of " + known);
}

void read_factor(const ConfigReader& config, ConnectorConfig& c) {
  c.factor = read_size(config, "factor", 2);
  if (c.side % c.factor != 0) config.reject("factor", fmt::format("a divisor of {} patches along a side", c.side));
}

void read_mlp(const ConfigReader& config, ConnectorConfig& c) {
  c.hidden = read_size(config, "hidden_size", c.out);
  c.activation = config.optional<std::string>("hidden_act", "gelu");
  c.bias = config.optional("bias", true);
}

void read_resampler(const ConfigReader& config, ConnectorConfig& c) {
  c.queries = read_size(config, "num_queries", 64, kMostQueries);
  c.depth = read_size(config, "num_hidden_layers", 6, kMostLayers);
  c.heads = read_size(config, "num_attention_heads", 8);
  if (c.in % c.heads != 0)
    config.reject("num_attention_heads", fmt::format("a divisor of the encoder's width {}", c.in));
  c.hidden = read_size(config, "intermediate_size", 4 * c.in);
}

void read_c_abstractor(const ConfigReader& config, ConnectorConfig& c) {
  c.queries = read_size(config, "num_queries", 144, kMostQueries);
  auto rows = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(c.queries))));
  if (rows * rows != c.queries) config.reject("num_queries", "the square of a whole number");
  c.depth = read_size(config, "depth", 3, kMostLayers);
  c.mlp_depth = read_size(config, "mlp_depth", 2, kMostLayers);
  c.hidden = read_size(config, "hidden_size", 1024);
}

ConnectorConfig read_connector(const ConfigReader& config, int64_t side, int64_t in, int64_t out, bool with_text) {
  ConnectorConfig c{.kind = read_kind(config), .side = side, .in = in, .out = out};
  switch (c.kind) {
    case Kind::linear:
      c.bias = config.optional("bias", true);
      break;
    case Kind::mlp:
      read_mlp(config, c);
      break;
    case Kind::pixel_shuffle:
    case Kind::spatial_pooling:
      read_factor(config, c);
      read_mlp(config, c);
      break;
    case Kind::q_former:
      c.queries = read_size(config, "num_queries", 32, kMostQueries);
      c.q_former = parse_qformer_config(config, with_text);
      if (c.q_former.reads_text && !with_text)
        config.reject("use_qformer_text_input", "false: a connector sees no text");
      break;
    case Kind::perceiver_resampler:
      read_resampler(config, c);
      break;
    case Kind::c_abstractor:
      read_c_abstractor(config, c);
      break;
  }
  return c;
}

}  // namespace

ConnectorConfig parse_connector_config(const ConfigReader& config, int64_t side, int64_t in, int64_t out,
                                       bool with_text) {
  return read_own_table(config, "connector",
                        [&](const ConfigReader& table) { return read_connector(table, side, in, out, with_text); });
}

}  // namespace nuri
