#pragma once

// Not installed: for the tasks that speculate.

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "common.h"
#include "generate/proposer.h"
#include "models/registry.h"
#include "speculate.h"
#include "text/chat_template.h"

namespace nuri {

// Throws Error(usage) for a way to speculate that there is not, and for `off` beside a draft.
void check_speculation(const SpeculationOptions& options);

// A draft model that is open.
class Draft {
 public:
  // `target`: what it drafts for, whose flags it runs with. Throws Error(usage) for a model that gives no text.
  Draft(const std::string& name, const ModelOptions& target);

  // Throws Error(usage) for the first token in which the two models differ.
  void expect_tokens(const Tokenizer& target, const std::string& target_name);
  // Throws Error(usage) where the two models' logits have other sizes.
  void expect_vocabulary(const CausalLM& target, const std::string& target_name) const;

  // `context`, of the target: see DraftModel.
  std::unique_ptr<Proposer> proposer(const CausalLM& target, int64_t context) const;
  // The conversation as the draft reads it with its pictures; null: it reads the target's tokens, since there are no
  // pictures, or it has no eyes.
  std::shared_ptr<const DraftPrompt> prompt(const Json& messages, std::span<const Image> pictures,
                                            std::span<const Video> videos) const;

 private:
  std::filesystem::path folder_;
  OpenedModel opened_;
  CausalLM* model_;
  std::unique_ptr<Processor> processor_;  // absent until the tokens were asked for
  std::optional<ChatTemplate> chat_;
};

}  // namespace nuri
