#include "models/parts/connectors/query_reader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

at::Tensor unit(const at::Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); }

}  // namespace

QueryReader::QueryReader(const WeightView& weights, const WeightView& drawing, const Sizes& sizes)
    : queries_(drawing.get("query_tokens", {1, sizes.queries, sizes.former.encoder.width})),
      words_(weights / "embeddings", sizes.former),
      former_(drawing / "qformer", drawing / "qformer" / "layernorm", sizes.former, sizes.picture_width),
      picture_projection_(weights / "vision_projection", sizes.former.encoder.width, sizes.image_text_width, true),
      text_projection_(weights / "text_projection", sizes.former.encoder.width, sizes.image_text_width, true),
      match_(weights / "itm_head", sizes.former.encoder.width, 2, true) {}

at::Tensor QueryReader::embed_pictures(const at::Tensor& pictures) const {
  at::Tensor drawn = former_(queries_.expand({pictures.size(0), -1, -1}), queries(), pictures);
  return unit(picture_projection_(drawn));
}

QueryReader::Read QueryReader::read(const Text& text) const {
  at::Tensor states = former_(words_(text.ids, "input_ids"), 0, {}, text.mask);
  return {states, unit(text_projection_(states.select(1, 0)))};
}

at::Tensor QueryReader::contrast(const at::Tensor& pictures, const at::Tensor& texts) {
  return std::get<0>(at::matmul(pictures, texts.t()).max(1));
}

at::Tensor QueryReader::together(const at::Tensor& pictures, const Text& text) const {
  if (text.ids.size(0) != pictures.size(0))
    throw Error(ErrorKind::usage, fmt::format("input_ids: found {} texts, expected {}, one for each picture",
                                              text.ids.size(0), pictures.size(0)));
  return at::cat({queries_.expand({pictures.size(0), -1, -1}), words_(text.ids, "input_ids")}, 1);
}

at::Tensor QueryReader::read_together(const at::Tensor& pictures, const Text& text,
                                      const at::Tensor& query_mask) const {
  at::Tensor both = together(pictures, text);
  at::Tensor all = query_mask.defined() ? query_mask : at::ones({both.size(0), queries()}, text.mask.options());
  return former_(both, queries(), pictures, at::cat({all, text.mask}, 1));
}

at::Tensor QueryReader::match(const at::Tensor& states) const { return match_(states.narrow(1, 0, queries())).mean(1); }

at::Tensor QueryReader::read_on(const at::Tensor& pictures, const Text& text) const {
  at::Tensor both = together(pictures, text);
  int64_t length = both.size(1);
  at::Tensor places = at::arange(length, at::kLong);
  at::Tensor last_seen = places.clamp_min(queries() - 1);  // a query's is the last query
  at::Tensor mask = (places.unsqueeze(0) <= last_seen.unsqueeze(1)).unsqueeze(0).repeat({both.size(0), 1, 1});
  mask.narrow(2, queries(), length - queries()).logical_and_(text.mask.unsqueeze(1));
  return former_(both, queries(), pictures, mask).narrow(1, queries(), length - queries());
}

}  // namespace nuri
