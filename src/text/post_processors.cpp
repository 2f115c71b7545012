#include "text/post_processors.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/tokenizer_model.h"

namespace nuri {
namespace {

constexpr size_t kMaxAdded = 100'000;  // ids that a template may add

class SequencePostProcessor : public PostProcessor {
 public:
  explicit SequencePostProcessor(const Component& component) {
    for (size_t i = 0; i < component.list("processors").size(); ++i)
      parts_.push_back(read_post_processor(component.child("processors", i)));
  }
  Parts apply(Parts parts, bool add_special) const override {
    for (const auto& processor : parts_) parts = processor->apply(std::move(parts), add_special);
    return parts;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> parts_;
};

// It trims offsets only, which are not kept here.
class NoPostProcessor : public PostProcessor {
 public:
  Parts apply(Parts parts, bool) const override { return parts; }
};

class TemplatePostProcessor : public PostProcessor {
 public:
  explicit TemplatePostProcessor(const Component& component)
      : where_(component.where("single")), single_(read(component, "single")), pair_(read(component, "pair")) {
    for (const Piece& piece : single_)
      if (piece.sequence == 1) component.fail("single", "the sequence B", "the sequence A alone");
  }

  Parts apply(Parts parts, bool add_special) const override {
    if (parts.empty() || parts.size() > 2)
      throw Error(ErrorKind::unsupported, fmt::format("{}: found a template behind another, expected one", where_));
    Parts out;
    for (const Piece& piece : parts.size() == 2 ? pair_ : single_)
      if (add_special || piece.sequence >= 0)
        out.push_back(piece.sequence < 0 ? piece.ids : parts[static_cast<size_t>(piece.sequence)]);
    return out;
  }

 private:
  struct Piece {
    int sequence;  // -1 for special tokens
    std::vector<int32_t> ids;
  };

  static std::vector<Piece> read(const Component& component, std::string_view key) {
    std::vector<Piece> pieces;
    if (key == "pair" && !component.has(key)) return pieces;
    size_t added = 0;
    for (size_t i = 0; i < component.list(key).size(); ++i) {
      const Component piece = component.child(key, i);
      if (piece.has("Sequence")) {
        const Component sequence = piece.child("Sequence");
        const std::string id = sequence.string("id");
        if (id != "A" && id != "B") sequence.reject("id", "A or B");
        pieces.push_back({id == "B", {}});
      } else if (piece.has("SpecialToken")) {
        const Component token = piece.child("SpecialToken");
        const Component known = component.child("special_tokens");
        const std::string name = token.string("id");
        if (!known.has(name)) token.fail("id", shown_json(name), "one of the special_tokens");
        pieces.push_back({-1, read_ids(known.child(name))});
        added += pieces.back().ids.size();
      } else {
        component.fail(key, shown_json(component.list(key)[i]), "a Sequence or a SpecialToken");
      }
      if (added > kMaxAdded || pieces.size() > kMaxAdded)
        component.fail(key, "a template that adds very many tokens", fmt::format("at most {}", kMaxAdded));
    }
    return pieces;
  }

  static std::vector<int32_t> read_ids(const Component& token) {
    std::vector<int32_t> ids;
    for (const Json& id : token.list("ids")) {
      if (!is_integer_between(id, 0, kMaxTokenId))
        token.fail("ids", shown_json(id), fmt::format("integers between 0 and {}", kMaxTokenId));
      ids.push_back(id.get<int32_t>());
    }
    return ids;
  }

  std::string where_;
  std::vector<Piece> single_, pair_;
};

// BertProcessing and RobertaProcessing: [CLS] text [SEP], and [SEP] around what else there is.
class BertPostProcessor : public PostProcessor {
 public:
  BertPostProcessor(const Component& component, bool roberta)
      : cls_(read_id(component, "cls")), sep_(read_id(component, "sep")), roberta_(roberta) {}

  Parts apply(Parts parts, bool add_special) const override {
    for (size_t i = 0; add_special && i < parts.size(); ++i) {
      if (i == 0 || roberta_) parts[i].insert(parts[i].begin(), i == 0 ? cls_ : sep_);
      parts[i].push_back(sep_);
    }
    return parts;
  }

 private:
  static int32_t read_id(const Component& component, std::string_view key) {
    const Json& pair = component.list(key);
    if (pair.size() != 2 || !pair[0].is_string() || !is_integer_between(pair[1], 0, kMaxTokenId))
      component.fail(key, shown_json(pair), "a pair of a token and its id");
    return pair[1].get<int32_t>();
  }
  int32_t cls_, sep_;
  bool roberta_;
};

}  // namespace

std::unique_ptr<PostProcessor> read_post_processor(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") return std::make_unique<SequencePostProcessor>(component);
  if (type == "TemplateProcessing") return std::make_unique<TemplatePostProcessor>(component);
  if (type == "ByteLevel") return std::make_unique<NoPostProcessor>();
  if (type == "BertProcessing") return std::make_unique<BertPostProcessor>(component, false);
  if (type == "RobertaProcessing") return std::make_unique<BertPostProcessor>(component, true);
  component.reject("type", "one of Sequence, TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing");
}

}  // namespace nuri
