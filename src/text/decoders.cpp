#include "text/decoders.h"

#include <fmt/format.h>

#include <deque>
#include <optional>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/normalizers.h"
#include "text/pre_tokenizers.h"
#include "text/unicode.h"

namespace nuri {
namespace {

constexpr size_t kMaxTokenBytes = size_t{4} << 20;

void check_size(const std::string& token) {
  if (token.size() > kMaxTokenBytes)
    throw Error(ErrorKind::resource,
                fmt::format("tokenizer: found a token that grows beyond {} MiB while it is decoded, "
                            "expected less",
                            kMaxTokenBytes >> 20));
}

// A stage that needs its tokens whole.
class TokenStage : public DecodeStage {
 public:
  explicit TokenStage(DecodeStage& next) : next_(next) {}
  void push(std::string_view chunk, bool end) final {
    token_ += chunk;
    check_size(token_);
    if (!end) return;
    std::string token = std::move(token_);
    token_.clear();
    take(std::move(token), index_++);
  }
  void finish() override { next_.finish(); }

 protected:
  virtual void take(std::string token, size_t index) = 0;
  void give(std::string_view token) { next_.push(token, true); }
  DecodeStage& next_;

 private:
  std::string token_;
  size_t index_ = 0;
};

// A stage that changes each token by itself.
class MapStage : public TokenStage {
 public:
  using Change = std::function<std::string(std::string, size_t)>;
  MapStage(DecodeStage& next, const Change& change) : TokenStage(next), change_(change) {}

 private:
  void take(std::string token, size_t index) override { give(change_(std::move(token), index)); }
  const Change& change_;
};

class MapDecoder : public Decoder {
 public:
  explicit MapDecoder(MapStage::Change change) : change_(std::move(change)) {}
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override {
    return std::make_unique<MapStage>(next, change_);
  }

 private:
  MapStage::Change change_;
};

template <class Stage>
class PlainDecoder : public Decoder {
 public:
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override { return std::make_unique<Stage>(next); }
};

// Like Rust's str::replace, an empty `from` included.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  if (from.empty()) {
    out = to;
    for (size_t at = 0; at < text.size();) {
      append_utf8(out, next_code_point(text, at));
      out += to;
    }
    check_size(out);
    return out;
  }
  size_t last = 0;
  for (size_t at; (at = text.find(from, last)) != std::string_view::npos; last = at + from.size()) {
    out += text.substr(last, at - last);
    out += to;
    check_size(out);
  }
  return out += text.substr(last);
}

std::string clean_up(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

class SequenceStage : public DecodeStage {
 public:
  SequenceStage(const std::vector<std::unique_ptr<Decoder>>& parts, DecodeStage& next) : first_(&next) {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      stages_.push_back((*part)->start(*first_));
      first_ = stages_.back().get();
    }
  }
  void push(std::string_view chunk, bool end) override { first_->push(chunk, end); }
  void finish() override { first_->finish(); }

 private:
  std::vector<std::unique_ptr<DecodeStage>> stages_;  // the last first
  DecodeStage* first_;
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(const Component& component) {
    for (size_t i = 0; i < component.list("decoders").size(); ++i)
      parts_.push_back(read_decoder(component.child("decoders", i)));
  }
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override {
    return std::make_unique<SequenceStage>(parts_, next);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

// All tokens become one.
class FuseStage : public DecodeStage {
 public:
  explicit FuseStage(DecodeStage& next) : next_(next) {}
  void push(std::string_view chunk, bool) override { next_.push(chunk, false); }
  void finish() override {
    next_.push("", true);
    next_.finish();
  }

 private:
  DecodeStage& next_;
};

// Characters of the byte alphabet become bytes, and all tokens one text.
class ByteLevelStage : public TokenStage {
 public:
  using TokenStage::TokenStage;
  void finish() override {
    std::string text;
    mender_.finish(text);
    next_.push(text, true);
    next_.finish();
  }

 private:
  void take(std::string token, size_t) override {
    std::string bytes;
    for (size_t at = 0; at < token.size();) {
      const int byte = byte_of_char(next_code_point(token, at));
      if (byte < 0) {
        bytes = token;
        break;
      }
      bytes += static_cast<char>(byte);
    }
    std::string text;
    mender_.push(bytes, text);
    next_.push(text, false);
  }
  Utf8Mender mender_;
};

// Runs of tokens <0x..> become text where they are valid UTF-8 as a whole.
class ByteFallbackStage : public TokenStage {
 public:
  using TokenStage::TokenStage;
  void finish() override {
    flush();
    next_.finish();
  }

 private:
  void take(std::string token, size_t) override {
    const int byte = byte_of_token(token);
    if (byte >= 0) {
      bytes_ += static_cast<char>(byte);
      return;
    }
    flush();
    give(token);
  }
  void flush() {
    if (bytes_.empty()) return;
    if (valid_utf8(bytes_) == bytes_) {
      give(bytes_);
    } else {
      for (size_t i = 0; i < bytes_.size(); ++i) give("\xEF\xBF\xBD");
    }
    bytes_.clear();
  }
  std::string bytes_;
};

// Takes up to `start` and `stop` times a character from the ends of each token.
class StripStage : public DecodeStage {
 public:
  StripStage(DecodeStage& next, char32_t content, size_t start, size_t stop)
      : next_(next), content_(content), start_(start), stop_(stop) {}

  void push(std::string_view chunk, bool end) override {
    std::string out;
    for (size_t at = 0; at < chunk.size();) {
      const char32_t code = next_code_point(chunk, at);
      if (code == content_ && leading_ && removed_ < start_) {
        ++removed_;
      } else if (code == content_ && stop_ > 0) {
        leading_ = false;
        // The last ones may be at the end of the token.
        if (held_ == stop_)
          append_utf8(out, code);
        else
          ++held_;
      } else {
        leading_ = false;
        for (; held_ > 0; --held_) append_utf8(out, content_);
        append_utf8(out, code);
      }
    }
    if (end) removed_ = held_ = 0, leading_ = true;
    next_.push(out, end);
  }
  void finish() override { next_.finish(); }

 private:
  DecodeStage& next_;
  char32_t content_;
  size_t start_, stop_;
  size_t removed_ = 0, held_ = 0;
  bool leading_ = true;
};

class StripDecoder : public Decoder {
 public:
  explicit StripDecoder(const Component& component)
      : content_(component.character("content")),
        start_(static_cast<size_t>(component.integer("start", 0, INT32_MAX))),
        stop_(static_cast<size_t>(component.integer("stop", 0, INT32_MAX))) {}
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override {
    return std::make_unique<StripStage>(next, content_, start_, stop_);
  }

 private:
  char32_t content_;
  size_t start_, stop_;
};

// An end-of-word suffix becomes a space, but at the last token nothing.
class BpeStage : public TokenStage {
 public:
  BpeStage(DecodeStage& next, const std::string& suffix) : TokenStage(next), suffix_(suffix) {}
  void finish() override {
    if (waiting_) give(replace_all(*waiting_, suffix_, ""));
    next_.finish();
  }

 private:
  void take(std::string token, size_t) override {
    if (waiting_) give(replace_all(*waiting_, suffix_, " "));
    waiting_ = std::move(token);
  }
  const std::string& suffix_;
  std::optional<std::string> waiting_;
};

class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(const Component& component)
      : suffix_(component.has("suffix") ? component.string("suffix") : "</w>") {}
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override {
    return std::make_unique<BpeStage>(next, suffix_);
  }

 private:
  std::string suffix_;
};

struct CtcRules {
  std::string pad, delimiter;
  bool cleanup;
};

// Connectionist temporal classification (Graves et al. 2006): repeated tokens count once, pads vanish.
class CtcStage : public TokenStage {
 public:
  CtcStage(DecodeStage& next, const CtcRules& rules) : TokenStage(next), rules_(rules) {}

 private:
  void take(std::string token, size_t) override {
    if (last_ == token) return;
    last_ = token;
    std::string text = replace_all(token, rules_.pad, "");
    if (rules_.cleanup) text = replace_all(clean_up(std::move(text)), rules_.delimiter, " ");
    if (!text.empty()) give(text);
  }
  const CtcRules& rules_;
  std::optional<std::string> last_;
};

class CtcDecoder : public Decoder {
 public:
  explicit CtcDecoder(const Component& component)
      : rules_{component.has("pad_token") ? component.string("pad_token") : "<pad>",
               component.has("word_delimiter_token") ? component.string("word_delimiter_token") : "|",
               component.boolean("cleanup", true)} {}
  std::unique_ptr<DecodeStage> start(DecodeStage& next) const override {
    return std::make_unique<CtcStage>(next, rules_);
  }

 private:
  CtcRules rules_;
};

std::unique_ptr<Decoder> word_piece_decoder(const Component& component) {
  std::string prefix = component.has("prefix") ? component.string("prefix") : "##";
  const bool cleanup = component.boolean("cleanup", true);
  return std::make_unique<MapDecoder>([prefix = std::move(prefix), cleanup](std::string token, size_t index) {
    if (index > 0) token = token.starts_with(prefix) ? token.substr(prefix.size()) : " " + token;
    return cleanup ? clean_up(std::move(token)) : token;
  });
}

std::unique_ptr<Decoder> metaspace_decoder(const Component& component) {
  const char32_t replacement = component.character("replacement");
  const bool prepended = read_prepend_scheme(component) != PrependScheme::never;
  return std::make_unique<MapDecoder>([replacement, prepended](const std::string& token, size_t index) {
    std::string out;
    for (size_t at = 0; at < token.size();) {
      const char32_t code = next_code_point(token, at);
      if (code != replacement)
        append_utf8(out, code);
      else if (index > 0 || !prepended)
        out += ' ';
    }
    return out;
  });
}

std::unique_ptr<Decoder> replace_decoder(const Component& component) {
  return std::make_unique<MapDecoder>([pattern = read_pattern(component), content = component.string("content")](
                                          std::string token, size_t) {
    if (token.empty()) return token;
    std::string out;
    pattern.visit(token, [&](const Span& span) {
      out += span.match ? std::string_view(content) : std::string_view(token).substr(span.begin, span.end - span.begin);
      check_size(out);
    });
    return out;
  });
}

}  // namespace

std::unique_ptr<Decoder> joining_decoder() {
  return std::make_unique<MapDecoder>([](std::string token, size_t index) { return index > 0 ? " " + token : token; });
}

std::unique_ptr<Decoder> read_decoder(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") return std::make_unique<SequenceDecoder>(component);
  if (type == "ByteLevel") return std::make_unique<PlainDecoder<ByteLevelStage>>();
  if (type == "ByteFallback") return std::make_unique<PlainDecoder<ByteFallbackStage>>();
  if (type == "Fuse") return std::make_unique<PlainDecoder<FuseStage>>();
  if (type == "Strip") return std::make_unique<StripDecoder>(component);
  if (type == "Replace") return replace_decoder(component);
  if (type == "Metaspace") return metaspace_decoder(component);
  if (type == "WordPiece") return word_piece_decoder(component);
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(component);
  if (type == "CTC") return std::make_unique<CtcDecoder>(component);
  component.reject("type",
                   "one of Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, WordPiece, BPEDecoder, "
                   "CTC");
}

}  // namespace nuri
