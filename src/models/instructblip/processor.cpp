#include "models/instructblip/processor.h"

#include "models/parts/connectors/qformer_config.h"
#include "models/parts/processors/query_processor.h"

namespace nuri {
namespace {

class InstructBlipProcessor : public QueryProcessor {
 public:
  InstructBlipProcessor(const std::filesystem::path& folder, std::optional<int64_t> image_token)
      : QueryProcessor(folder, image_token), instructions_(Tokenizer::from_folder(folder / "qformer_tokenizer")) {}

 protected:
  void add_text(PreparedPrompt& prompt, const std::string& text) const override {
    std::vector<int32_t> ids = instructions_.encode(text, /*add_special=*/true);
    std::vector<int64_t> shape{1, static_cast<int64_t>(ids.size())};
    prompt.pictures.arrays.push_back({"qformer_input_ids", shape, std::vector<int64_t>(ids.begin(), ids.end())});
    prompt.pictures.arrays.push_back({"qformer_attention_mask", shape, std::vector<int64_t>(ids.size(), 1)});
  }

 private:
  Tokenizer instructions_;
};

}  // namespace

std::unique_ptr<Processor> make_instructblip_processor(const std::filesystem::path& folder,
                                                       const ConfigReader& config) {
  return std::make_unique<InstructBlipProcessor>(folder, read_image_token(config));
}

}  // namespace nuri
